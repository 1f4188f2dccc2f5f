"""The OpenAPI document says what the table of endpoints does, and docs/openapi.json is that document."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lb.admin.app import _SERVE
from lb.admin.described import DESCRIBED
from lb.admin.endpoints import ENDPOINTS
from lb.admin.openapi import as_text, document

PAGE = Path(__file__).resolve().parents[2] / "docs" / "openapi.json"
KEYS = [f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS]


@pytest.mark.parametrize("key", KEYS)
def test_every_endpoint_is_described(key):
    assert key in DESCRIBED, f"describe {key!r} in lb/admin/described.py: what it takes, gives and refuses"


def test_only_endpoints_are_described_and_served():
    assert set(DESCRIBED) <= set(KEYS), f"gone from ENDPOINTS: {sorted(set(DESCRIBED) - set(KEYS))}"
    assert set(_SERVE) == set(KEYS)


def test_the_document_in_docs_is_up_to_date():
    assert PAGE.read_text("utf-8") == as_text(), "run: python -m lb.admin.openapi docs/openapi.json"


def test_names_of_operations_are_unique():
    names = [operation["operationId"] for path in document()["paths"].values() for operation in path.values()]
    assert len(names) == len(set(names)) == len(ENDPOINTS)


def test_it_is_served(ask):
    status, _, text = ask("GET", "/api/v1/openapi.json")
    assert status == 200
    assert json.loads(text) == document()


def test_a_name_with_a_line_break_gets_an_answer_of_lb(ask):
    """Found by schemathesis: the router's pattern did not take it, and answered in words of its own."""
    status, _, text = ask("DELETE", "/api/v1/services/a%0Ab/servers/x/override")
    assert status == 404
    assert json.loads(text)["error"] == "no_override"
