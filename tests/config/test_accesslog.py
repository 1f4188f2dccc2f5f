"""The section `access_log`: what is refused, and with which words."""

import pytest

from tests.config.conftest import problems_of

BASE = "listeners: [':80']\n"


@pytest.mark.parametrize(
    ("section", "place", "words"),
    [
        ("path: 'syslog:udp://logs:514'", "access_log.path", "expected syslog:/dev/log"),
        ("redact: {omit: [hots]}", "access_log.redact.omit[0]", "did you mean host?"),
        ("redact: {omit: [time]}", "access_log.redact.omit[0]", "can be left out"),
        ("redact: {query: [a=b]}", "access_log.redact.query[0]", "expected the name of a query parameter"),
        ("redact: {client: no}", "access_log.redact.client", "expected whole, subnet"),
        ("sample: 0.1", "access_log.sample", "did you mean 10%?"),
        ("sample: 101%", "access_log.sample", "expected a share"),
    ],
)
def test_what_is_refused(section, place, words):
    (problem,) = problems_of(BASE + f"access_log: {{{section}}}\n")
    assert f": {place}: " in problem
    assert words in problem
