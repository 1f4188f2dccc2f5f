"""`lb servers`: names, arguments and help of its commands.

Lives here: what the user types. Must not live here: what the commands do (lb.cli.orders).
"""

from __future__ import annotations

from typing import Annotated

import typer

EXIT_CODES = (
    "Exit codes: 0 done · 2 wrong usage, no such server · 4 no answer, no leader · "
    "5 not drained within --timeout · 6 somebody ordered something of it everywhere meanwhile"
)
ADMIN = "http://127.0.0.1:9900"

app = typer.Typer(
    help="Look at the servers of a running lb; drain them, take them out, weight them.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
)

Server = Annotated[
    str, typer.Argument(metavar="SERVICE/ADDRESS", help="A server, such as api/10.0.0.1:8080.")
]
Admin = Annotated[str, typer.Option(metavar="URL", help="The admin API of the lb that is meant.")]
Reason = Annotated[str, typer.Option(metavar="TEXT", help="Why; shown to everybody who looks.")]
For = Annotated[
    str,
    typer.Option("--for", metavar="TIME", help="How long, such as 30m or 2h; absent: until it is lifted."),
]
Everywhere = Annotated[
    bool, typer.Option("--everywhere", help="On all nodes of the cluster; absent: on this one.")
]
Author = Annotated[str, typer.Option(metavar="NAME", help="Who; absent: the login name.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list", epilog=EXIT_CODES)
def list_(
    service: Annotated[str, typer.Argument(metavar="[SERVICE]", help="Only the servers of this one.")] = "",
    *,
    admin: Admin = ADMIN,
    json: AsJson = False,
) -> None:
    """Show every server: its status with the reasons, what it has to do, what was ordered."""
    from lb.cli.orders import show

    raise typer.Exit(show(admin, service, json))


@app.command(epilog=EXIT_CODES)
def drain(
    server: Server,
    *,
    wait: Annotated[bool, typer.Option(help="Wait until nothing is left on it.")] = True,
    timeout: Annotated[
        str, typer.Option(metavar="TIME", help="The longest wait; 0: none. The drain stays in force.")
    ] = "5m",
    reason: Reason = "",
    for_: For = "",
    author: Author = "",
    everywhere: Everywhere = False,
    admin: Admin = ADMIN,
) -> None:
    """Give a server no new exchanges, and wait until those it has are done.

    Clients with a sticky session stay on it; `lb servers maintenance` moves them too.

    Example: lb servers drain api/10.0.0.1:8080 --for 30m --reason "deploy of 1.4"
    """
    from lb.cli.orders import Order
    from lb.cli.orders import drain as command

    raise typer.Exit(
        command(Order(admin, server, "drain", None, reason, for_, author, everywhere), wait, timeout)
    )


@app.command(epilog=EXIT_CODES)
def maintenance(
    server: Server,
    *,
    reason: Reason = "",
    for_: For = "",
    author: Author = "",
    everywhere: Everywhere = False,
    admin: Admin = ADMIN,
) -> None:
    """Take a server out for everybody, clients with a sticky session included."""
    from lb.cli.orders import Order, give

    raise typer.Exit(give(Order(admin, server, "maintenance", None, reason, for_, author, everywhere)))


@app.command(epilog=EXIT_CODES)
def up(
    server: Server,
    *,
    reason: Reason = "",
    for_: For = "",
    author: Author = "",
    everywhere: Everywhere = False,
    admin: Admin = ADMIN,
) -> None:
    """Use a server whatever its health checks say. `lb servers clear` leaves it to the checks again."""
    from lb.cli.orders import Order, give

    raise typer.Exit(give(Order(admin, server, "up", None, reason, for_, author, everywhere)))


@app.command(epilog=EXIT_CODES)
def weight(
    server: Server,
    share: Annotated[
        str, typer.Argument(metavar="WEIGHT", help="Of the configured weight, in percent: 50%.")
    ],
    *,
    reason: Reason = "",
    for_: For = "",
    author: Author = "",
    everywhere: Everywhere = False,
    admin: Admin = ADMIN,
) -> None:
    """Give a server more or less than its weight in the configuration says."""
    from lb.cli.orders import Order, give

    raise typer.Exit(give(Order(admin, server, None, share, reason, for_, author, everywhere)))


@app.command(epilog=EXIT_CODES)
def clear(
    server: Server, *, author: Author = "", everywhere: Everywhere = False, admin: Admin = ADMIN
) -> None:
    """Lift what was ordered of a server: its checks and its weight decide again."""
    from lb.cli.orders import Order, lift

    raise typer.Exit(lift(Order(admin, server, None, None, "", "", author, everywhere)))
