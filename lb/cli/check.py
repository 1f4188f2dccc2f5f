"""`lb check`: is this configuration good, and if not, what is wrong with it, all of it."""

from __future__ import annotations

from pathlib import Path

import typer
from rich.console import Console
from rich.text import Text

from lb.config import ConfigError, Problem, lint, read, resolved


def check(config: Path, show_resolved: bool = False) -> None:
    """Prints every problem of `config`, then the count of what is in it, or all of it with defaults.
    Raises typer.Exit(1) where there are problems; warnings are none."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    try:
        loaded = read(config)
    except ConfigError as error:
        _show(errors, error.problems)
        raise typer.Exit(1) from None
    problems = lint(loaded.spec, loaded.merged)
    _show(errors, problems)
    if any(problem.severity == "error" for problem in problems):
        raise typer.Exit(1)
    if show_resolved:
        typer.echo(resolved(loaded.spec), nl=False)
        return
    spec = loaded.spec
    counted = [
        _count(len(spec.listeners), "listener"),
        _count(len(spec.routes), "route"),
        _count(len(spec.services), "service"),
        _count(sum(len(service.servers) for service in spec.services.values()), "server"),
    ]
    if spec.tests:
        counted.append(f"{_count(len(spec.tests), 'test')} passed")
    if problems:
        counted.append(_count(len(problems), "warning"))
    Console(highlight=False, soft_wrap=True).print(
        Text.assemble(("config ok", "bold green"), ": " + ", ".join(counted))
    )


def _show(console: Console, problems: list[Problem]) -> None:
    for problem in problems:
        place = ":".join(
            [problem.file, *(str(number) for number in (problem.line, problem.column) if number)]
        )
        colour = "bold red" if problem.severity == "error" else "bold yellow"
        line = Text.assemble((place, "bold"), ": ", (f"{problem.severity}: ", colour))
        if problem.path:
            line.append(f"{problem.path}: ", "cyan")
        line.append(problem.message)
        console.print(line)
    errors = sum(problem.severity == "error" for problem in problems)
    if errors:
        console.print(Text(_count(errors, "problem"), "bold red"))


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
