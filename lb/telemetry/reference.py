"""The tables of docs/metrics.md and docs/access-log.md, made from the code.

`python -m lb.telemetry.reference docs/*.md` writes them between the marks `<!-- begin: NAME -->` and
`<!-- end -->`; a test fails where a page and the code differ.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

from lb.decisions import ATTEMPT_TEXT, SELECT_TEXT, Attempt
from lb.outcomes import TABLE
from lb.telemetry import layout
from lb.telemetry.families import GROUPS
from lb.telemetry.family import Family
from lb.telemetry.fields import COMBINED, COMMON, FIELDS, TEMPLATE_FIELDS, Field

_BLOCK = re.compile(r"<!-- begin: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)


def filled(page: str) -> str:
    """`page` with every block made anew. Raises KeyError for a block of another name."""
    tables = {
        "metrics": _metrics(),
        "buckets": ", ".join(f"{bound / 1e6:g}" for bound in layout.BOUNDS_US) + "\n",
        "fields": _fields(FIELDS),
        "template-fields": _fields(TEMPLATE_FIELDS),
        "flags": _flags(),
        "reasons": _reasons(),
        "words": _words(),
        "formats": f"```\ncommon    {COMMON}\ncombined  {COMBINED}\n```\n",
    }
    return _BLOCK.sub(lambda block: f"<!-- begin: {block[1]} -->\n{tables[block[1]]}<!-- end -->", page)


def exposed_name(family: Family) -> str:
    """The name as a scrape and a query have it."""
    return family.name + ("_total" if family.type == "counter" else "")


def _metrics() -> str:
    sections = []
    for title, families in GROUPS:
        rows = ((f"`{exposed_name(f)}`", f.type, ", ".join(f.labels), f.text) for f in families)
        sections.append(f"### {title}\n\n" + _table(("metric", "type", "labels", "what it counts"), rows))
    return "\n".join(sections)


def _fields(fields: dict[str, Field]) -> str:
    return _table(("field", "meaning"), ((f"`{name}`", field.meaning) for name, field in fields.items()))


def _flags() -> str:
    rows = (
        (f"`{row.flag}`", f"`{outcome.name.lower()}`", row.side, str(row.status), row.text)
        for outcome, row in TABLE.items()
    )
    return _table(("flag", "outcome (metrics)", "side", "status", "meaning"), rows)


def _reasons() -> str:
    return _table(
        ("reason", "meaning"), ((f"`{reason.name.lower()}`", text) for reason, text in SELECT_TEXT.items())
    )


def _words() -> str:
    rows = ((f"`{word.name.lower()}`", text) for word, text in ATTEMPT_TEXT.items() if word != Attempt.NONE)
    return _table(("word", "meaning"), rows)


def _table(titles: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [titles, tuple("---" for _ in titles), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")
