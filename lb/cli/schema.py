"""`lb schema`: the JSON Schema of the configuration, for editors."""

from __future__ import annotations

import json

import typer

from lb.config.schema import json_schema


def schema() -> None:
    """Print the JSON Schema of the configuration (draft 2020-12). Editors with a YAML language server
    complete keys with it; the first line of the file names it:
    # yaml-language-server: $schema=lb.schema.json"""
    typer.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
