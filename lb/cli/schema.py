"""`lb schema`: the JSON Schema of the configuration, for editors."""

from __future__ import annotations

import json

import typer

from lb.config.schema import json_schema


def schema() -> None:
    """Prints it."""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
