"""The JSON Schema of the configuration, for editors."""

from __future__ import annotations

from typing import Any

from lb.config.spec import Spec

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the file as the operator writes it, short forms included. Checks
    between sections, and what patterns cannot say, are left to `lb check`."""
    schema = Spec.model_json_schema(mode="validation")
    return {
        "$schema": DIALECT,
        "title": "lb configuration",
        **{k: v for k, v in schema.items() if k != "title"},
    }
