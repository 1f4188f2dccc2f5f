"""`lb cluster`: names, arguments and help of its commands.

Lives here: what the user types. Must not live here: what the commands do (lb.cli.publishing).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lb.cli.servers import ADMIN, Admin, AsJson, Author

EXIT_CODES = (
    "Exit codes: 0 done · 1 the document has problems · 2 wrong usage, no such revision · "
    "4 no answer, no leader · 5 not every node runs it within --timeout, or a rollout was taken back · "
    "6 somebody published meanwhile"
)

app = typer.Typer(
    help="Look at the cluster of a running lb; publish its shared configuration.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
)

Message = Annotated[str, typer.Option("--message", "-m", metavar="TEXT", help="Why; shown in the history.")]
Wait = Annotated[bool, typer.Option(help="Wait until every node runs it.")]
Timeout = Annotated[str, typer.Option(metavar="TIME", help="The longest wait; it stays published.")]
Number = Annotated[int, typer.Argument(metavar="REVISION", min=1)]


@app.command(epilog=EXIT_CODES)
def status(*, admin: Admin = ADMIN, json: AsJson = False) -> None:
    """Show who leads, whether the engine answers, what is published and what every node runs."""
    from lb.cli.publishing import status as command

    raise typer.Exit(command(admin, json))


@app.command(epilog=EXIT_CODES)
def show(
    number: Annotated[int, typer.Argument(metavar="[REVISION]", min=0, help="Absent: the one in force.")] = 0,
    *,
    admin: Admin = ADMIN,
) -> None:
    """Print a shared document, with its revision in a first line that `lb cluster push` understands.

    Example: lb cluster show > shared.yaml
    """
    from lb.cli.publishing import show as command

    raise typer.Exit(command(admin, number))


@app.command(epilog=EXIT_CODES)
def push(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="The whole shared document.", exists=True, dir_okay=False)
    ],
    *,
    base: Annotated[
        str,
        typer.Option(
            metavar="REVISION",
            help='The revision that FILE was made from, or "current" for whichever is in force; absent: what '
            "the first line of FILE says (lb cluster show writes it).",
        ),
    ] = "",
    first: Annotated[
        str,
        typer.Option(
            metavar="NODE,…", help="Try it on these nodes; it goes on to all, or is taken back, by itself."
        ),
    ] = "",
    watch: Annotated[str, typer.Option(metavar="TIME", help="With --first: how long it is tried.")] = "5m",
    errors: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="With --first: by how much more of its requests may fail than of the others.",
        ),
    ] = "1%",
    latency: Annotated[
        str,
        typer.Option(
            metavar="TIMES", help="With --first: how many times as long nine requests in ten may take."
        ),
    ] = "2",
    requests: Annotated[
        int, typer.Option(metavar="COUNT", min=0, help="With --first: fewer requests decide nothing.")
    ] = 100,
    message: Message = "",
    author: Author = "",
    wait: Wait = True,
    timeout: Timeout = "1m",
    admin: Admin = ADMIN,
) -> None:
    """Have the leader check a document and publish it, to all nodes or to some first.

    Refused where somebody published since the revision that it was made from.

    Example: lb cluster push shared.yaml --first lb-1 --watch 10m
    """
    from lb.cli.publishing import Signed
    from lb.cli.publishing import push as command

    stage = {"first": first, "watch": watch, "errors": errors, "latency": latency, "requests": str(requests)}
    signed = Signed(admin, author, message)
    raise typer.Exit(command(signed, file, base, stage if first else {}, timeout if wait else ""))


@app.command(epilog=EXIT_CODES)
def history(*, admin: Admin = ADMIN, json: AsJson = False) -> None:
    """Show what was published, the newest first."""
    from lb.cli.publishing import history as command

    raise typer.Exit(command(admin, json))


@app.command(epilog=EXIT_CODES)
def diff(one: Number, other: Number, *, admin: Admin = ADMIN) -> None:
    """Show what is different from one revision to another."""
    from lb.cli.publishing import diff as command

    raise typer.Exit(command(admin, one, other))


@app.command(epilog=EXIT_CODES)
def rollback(
    revision: Number,
    *,
    message: Message = "",
    author: Author = "",
    wait: Wait = True,
    timeout: Timeout = "1m",
    admin: Admin = ADMIN,
) -> None:
    """Publish the document of an earlier revision again, as a new one."""
    from lb.cli.publishing import Signed
    from lb.cli.publishing import rollback as command

    raise typer.Exit(command(Signed(admin, author, message), revision, timeout if wait else ""))


@app.command(epilog=EXIT_CODES)
def promote(
    *,
    message: Message = "",
    author: Author = "",
    wait: Wait = True,
    timeout: Timeout = "1m",
    admin: Admin = ADMIN,
) -> None:
    """Publish to all nodes what is tried on some, without waiting longer."""
    from lb.cli.publishing import Signed
    from lb.cli.publishing import end_rollout as command

    raise typer.Exit(command(Signed(admin, author, message), "promote", timeout if wait else ""))


@app.command(epilog=EXIT_CODES)
def abort(
    *,
    message: Message = "",
    author: Author = "",
    wait: Wait = True,
    timeout: Timeout = "1m",
    admin: Admin = ADMIN,
) -> None:
    """Take back what is tried on some nodes."""
    from lb.cli.publishing import Signed
    from lb.cli.publishing import end_rollout as command

    raise typer.Exit(command(Signed(admin, author, message), "abort", timeout if wait else ""))


@app.command(epilog=EXIT_CODES)
def resign(*, author: Author = "", admin: Admin = ADMIN) -> None:
    """Have the leader, whichever node that is, give leadership to another one."""
    from lb.cli.publishing import Signed
    from lb.cli.publishing import resign as command

    raise typer.Exit(command(Signed(admin, author, "")))
