"""docs/admin-api.md has every endpoint, in the words of the table."""

from pathlib import Path

from lb.admin.endpoints import ENDPOINTS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "admin-api.md"


def test_every_endpoint_has_a_row():
    rows = [
        line
        for line in PAGE.read_text().splitlines()
        if line.startswith(("| `GET", "| `POST", "| `PUT", "| `DELETE"))
    ]
    assert rows == [f"| `{e.method} {e.path}` | {e.text} |" for e in ENDPOINTS]
