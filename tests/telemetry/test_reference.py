"""The reference pages say what the code does."""

from pathlib import Path

import pytest

from lb.outcomes import TABLE
from lb.telemetry.families import GROUPS
from lb.telemetry.fields import FIELDS, TEMPLATE_FIELDS
from lb.telemetry.reference import exposed_name, filled

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("page", ["metrics.md", "access-log.md"])
def test_page_is_up_to_date(page):
    text = (DOCS / page).read_text()
    assert text == filled(text), f"run: python -m lb.telemetry.reference docs/{page}"


def test_every_metric_has_a_row():
    text = (DOCS / "metrics.md").read_text()
    for _, families in GROUPS:
        for family in families:
            assert f"| `{exposed_name(family)}` | {family.type} |" in text


def test_every_field_and_flag_has_a_row():
    text = (DOCS / "access-log.md").read_text()
    for name in [*FIELDS, *TEMPLATE_FIELDS]:
        assert f"| `{name}` |" in text
    for row in TABLE.values():
        assert f"| `{row.flag}` |" in text


def test_unknown_block():
    with pytest.raises(KeyError, match="nothing"):
        filled("<!-- begin: nothing -->\n<!-- end -->")
