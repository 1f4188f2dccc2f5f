"""`lb discovery`: what the sources of servers say, and believing one.

Lives here: what the user types, and how it is shown. Must not live here: the admin API's client
(lb.cli.admin).
"""

from __future__ import annotations

import json as json_
import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from lb.cli.admin import UnansweredError, ask
from lb.cli.servers import ADMIN, Admin, AsJson
from lb.cli.terminal import complain, paint, say

EXIT_CODES = "Exit codes: 0 done · 2 wrong usage, nothing is held · 4 the admin API does not answer"

app = typer.Typer(
    help="Look at what sources of servers (Consul, files) say to a running lb; believe one.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
)


@app.command("list", epilog=EXIT_CODES)
def list_(*, admin: Admin = ADMIN, json: AsJson = False) -> None:
    """Show every source: whether it answers, how old its word is, what is held, kept out or set aside."""
    answer = _ask(admin, "GET", "/api/v1/discovery")
    found, catalog = answer["services"], answer["catalog"]
    if json:
        json_.dump({"services": found, "catalog": catalog}, sys.stdout, indent=2)
        say()
        return
    for one in found:
        _show(one)
    if catalog is not None:
        _show_catalog(catalog)
    elif not found:
        say("no service follows a source")


@app.command(epilog=EXIT_CODES)
def accept(
    service: Annotated[str, typer.Argument(metavar="SERVICE", help="The service whose source is right.")],
    *,
    admin: Admin = ADMIN,
) -> None:
    """Believe the source of a service: servers that it took away, and that are held, go now."""
    path = f"/api/v1/discovery/{quote(service, safe='')}/accept"
    for one in _ask(admin, "POST", path)["services"]:
        _show(one)


def _ask(admin: str, method: str, path: str) -> Any:
    try:
        return ask(admin, method, path)
    except UnansweredError as error:
        complain(str(error))
        raise typer.Exit(error.code) from None


def _show(one: dict[str, Any]) -> None:
    say(f"{one['service']}: {one['source']}, {one['members']} servers, {_state(one)}")
    if one["error"]:
        say(f"  {one['error']}")
    if one["held"]:
        say(f"  held for {one['held_for']:g}s: {', '.join(one['held'])}")
        say(f"  let go of them now: lb discovery accept {one['service']}")
    for address, seconds in one["kept_out"].items():
        say(f"  kept out for {seconds:g}s: {address} comes and goes")
    for bad in one["unusable"]:
        say(f"  set aside: {bad['entry']}: {bad['reason']}")


def _show_catalog(one: dict[str, Any]) -> None:
    say(f"{one['source']}: {len(one['routes'])} routes, {_state(one)}")
    if one["error"]:
        say(f"  {one['error']}")
    for made in one["routes"]:
        say(f"  route {made['route']}: service {made['service']}, tag {made['tag']}")
    for service, seconds in one["held"].items():
        say(f"  held for {seconds:g}s: the routes of {service}")
        say(f"  let go of them now: lb discovery accept {service}")
    for bad in one["unusable"]:
        say(f"  set aside: {bad['entry']}: {bad['reason']}")


def _state(one: dict[str, Any]) -> str:
    word = "answers" if one["answered"] else "silent"
    age = "" if one["age"] is None else f", {one['age']:g}s old" if one["age"] else ""
    return paint(word, "green" if one["answered"] else "red") + age
