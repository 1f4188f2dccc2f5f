"""The command line: names, arguments and help of all commands.

Lives here: what the user types. Must not live here: what a command does; each has its own file, imported
when it runs, so that help and version are quick.

Exit codes, the same for all commands: 0 done; 1 the configuration has problems; 2 wrong usage; 3 an
address cannot be listened on; 4 lb cannot run (workers do not start, stale build, admin API unreachable);
5 a drain is not done in time, a revision not in force everywhere; 6 somebody else published meanwhile;
7 `lb plan`: something changes; `lb import`: something did not map.
"""

from __future__ import annotations

import re
import sys
from enum import Enum
from pathlib import Path
from typing import Annotated, Optional

import typer

from lb.cli import cluster, discovery, servers

METHOD = re.compile(r"[A-Za-z-]+")

EXIT_CODES = (
    "Exit codes: 0 done · 1 the configuration has problems · 2 wrong usage · "
    "3 an address cannot be listened on · 4 lb cannot run · 5 a drain is not done in time · "
    "6 somebody else was faster · 7 lb plan: something changes; lb import: something did not map"
)

app = typer.Typer(
    name="lb",
    help="An HTTP load balancer and reverse proxy.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
app.add_typer(servers.app, name="servers")
app.add_typer(discovery.app, name="discovery")
app.add_typer(cluster.app, name="cluster")


class Kind(Enum):
    """What `lb import` reads."""

    NGINX = "nginx"
    HAPROXY = "haproxy"


Config = Annotated[
    Path, typer.Argument(help="The configuration: a file, or a folder of *.yaml.", show_default=True)
]


@app.command(epilog=EXIT_CODES)
def run(config: Config = Path("lb.yaml")) -> None:
    """Run lb until a signal ends it.

    SIGTERM drains, then ends; a second one, or SIGINT (Ctrl-C), ends at once. SIGHUP reloads the
    configuration, as a change of its files does. SIGUSR1 reopens the access log. SIGUSR2 starts a successor
    from what is on the disk and hands over to it (lb upgrade).
    """
    from lb.cli.run import run as command

    raise typer.Exit(command(config))


@app.command(epilog=EXIT_CODES)
def upgrade(
    config: Config = Path("lb.yaml"),
    pid: Annotated[
        int, typer.Option(help="Tell this control process, without waiting for the outcome.", min=0)
    ] = 0,
) -> None:
    """Replace the running lb by the version and the configuration on the disk, without a failed request.

    The successor takes over the listening sockets; when it serves, the one before drains. Where it cannot,
    the one before goes on.
    """
    from lb.cli.upgrade import upgrade as command

    raise typer.Exit(command(config, pid))


@app.command(epilog=EXIT_CODES)
def check(
    config: Config = Path("lb.yaml"),
    resolved: Annotated[
        bool, typer.Option("--resolved", help="Print the configuration with every default filled in.")
    ] = False,
) -> None:
    """Check a configuration and print all problems, with file:line:column.

    Finds routes that can never win, and runs the requests of its tests section. Warnings alone are no
    problem.
    """
    from lb.cli.check import check as command

    command(config, resolved)


@app.command(epilog=EXIT_CODES)
def schema() -> None:
    """Print the JSON Schema of the configuration, for editors."""
    from lb.cli.schema import schema as command

    command()


@app.command(epilog=EXIT_CODES)
def explain(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="[CONFIG] METHOD URL", help="CONFIG: lb.yaml where absent; none with --admin."
        ),
    ],
    *,
    header: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it)
        typer.Option("--header", "-H", metavar="NAME: VALUE", help="A request header; may be repeated."),
    ] = None,
    client_ip: Annotated[str, typer.Option(help="The client's address.")] = "127.0.0.1",
    listener: Annotated[str, typer.Option(help="The listener asked; absent: the first one.")] = "",
    admin: Annotated[
        str,
        typer.Option(
            metavar="URL", help="Ask a running lb, such as http://127.0.0.1:9900; beside CONFIG, if named."
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say where a request would go, and why: routes, service, servers with scores, pick, retries.

    Example: lb explain lb.yaml GET http://shop.example.com/cart -H "x-beta: 1"
    """
    from lb.cli.explain import Wish
    from lb.cli.explain import explain as command

    config, method, url = (
        ("" if admin else "lb.yaml", *words)
        if len(words) == 2
        else words
        if len(words) == 3
        else ("", "", "")
    )
    if not METHOD.fullmatch(method):
        raise typer.BadParameter(
            "expected [CONFIG] METHOD URL, such as GET http://example.com/", param_hint="arguments"
        )
    path = Path(config) if config else None
    raise typer.Exit(command(Wish(path, admin, method, url, tuple(header or ()), client_ip, listener, json)))


@app.command("import", epilog=EXIT_CODES)
def import_(
    source: Annotated[Path, typer.Argument(help="nginx.conf or haproxy.cfg.")],
    *,
    kind: Annotated[
        Optional[Kind],  # noqa: UP045 (typer reads it)
        typer.Option("--from", help="What wrote it; absent: found out from its first section."),
    ] = None,
) -> None:
    """Print the configuration of nginx or HAProxy as one of lb's; on stderr and in comments, what it is not.

    Exit code 0: all of it did; 7: something did not. Example: lb import /etc/nginx/nginx.conf > lb.yaml
    """
    from lb.cli.import_ import import_ as command

    raise typer.Exit(command(source, kind.value if kind else ""))


@app.command(epilog=EXIT_CODES)
def plan(
    new: Annotated[Path, typer.Argument(help="The new configuration.")],
    *,
    against: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it)
        typer.Option(help="Compare with this configuration, not with the running one."),
    ] = None,
    admin: Annotated[
        str, typer.Option(metavar="URL", help="The admin API of the lb that is meant.")
    ] = servers.ADMIN,
    log: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it)
        typer.Option(
            help="A JSON access log whose requests are asked of both, - for stdin; absent: lb's own."
        ),
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=10_000_000, help="So many last lines of it.")] = 100_000,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a new configuration would change, for requests too. Exit code 0: nothing; 7: something."""
    from lb.cli.plan import plan as command

    raise typer.Exit(command(new, against, admin, log, last, json))


@app.command(epilog=EXIT_CODES)
def simulate(
    config: Config = Path("lb.yaml"),
    *,
    service: Annotated[str, typer.Option(help="Whose servers; absent: the only service.")] = "",
    algorithm: Annotated[
        str, typer.Option(metavar="NAME,…", help="The algorithms; all get the same requests.")
    ] = "round_robin,least_connections,ewma",
    rate: Annotated[
        Optional[float],  # noqa: UP045 (typer reads it)
        typer.Option(min=0.001, max=10_000_000, help="Requests a second, at random times (1000)."),
    ] = None,
    seconds: Annotated[
        Optional[float],  # noqa: UP045 (typer reads it)
        typer.Option(min=0.001, max=86_400, help="How long they come (30)."),
    ] = None,
    service_time: Annotated[
        Optional[str],  # noqa: UP045 (typer reads it)
        typer.Option(metavar="TIME", help="What a request takes to serve, in the mean (10ms)."),
    ] = None,
    constant: Annotated[
        bool, typer.Option("--constant", help="Every request takes just that, not an exponential time.")
    ] = False,
    clients: Annotated[
        Optional[int],  # noqa: UP045 (typer reads it)
        typer.Option(min=1, max=1_000_000, help="Who sends them, all equally often; their keys (1000)."),
    ] = None,
    slots: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="Requests that a server serves at once; 0: all are 70 % busy."),
    ] = 0,
    slow: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it)
        typer.Option(metavar="ADDRESS=5x", help="A server that takes 5 times as long; may be repeated."),
    ] = None,
    fail: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it)
        typer.Option(metavar="ADDRESS@10s", help="A server that refuses all from then on; may be repeated."),
    ] = None,
    log: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it)
        typer.Option(help="A JSON access log whose requests, times and clients are taken."),
    ] = None,
    last: Annotated[int, typer.Option(min=1, max=10_000_000, help="So many last lines of it.")] = 1_000_000,
    picture: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it)
        typer.Option(metavar="FILE.svg", help="Draw load and p99 of each server over time."),
    ] = None,
    seed: Annotated[int, typer.Option(help="The same seed, the same answer.")] = 1,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say how a service would fare with other algorithms, by a load at random or that of an access log.

    Example: lb simulate lb.yaml --service app --rate 2000 --slow 10.0.0.1:8080=5x --picture out.svg
    """
    from lb.cli.simulate import Wish
    from lb.cli.simulate import simulate as command

    wish = Wish(
        *(config, service, algorithm, rate, seconds, service_time, constant, clients, slots),
        *(tuple(slow or ()), tuple(fail or ()), log, last, picture, seed, json),
    )
    raise typer.Exit(command(wish))


@app.command(epilog=EXIT_CODES)
def events(
    *,
    after: Annotated[
        Optional[int],  # noqa: UP045 (typer reads it)
        typer.Option(min=0, help="Begin after the event of this number; 0: with the oldest that is kept."),
    ] = None,
    follow: Annotated[bool, typer.Option(help="Go on with what happens; else print what is kept.")] = True,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, an event a line.")] = False,
    admin: Annotated[
        str, typer.Option(metavar="URL", help="The admin API of the lb that is meant.")
    ] = servers.ADMIN,
) -> None:
    """Show what happens to the servers of a running lb, as it happens; Ctrl-C ends it."""
    from lb.cli.events import events as command

    raise typer.Exit(command(admin, after, json, follow))


@app.command(epilog=EXIT_CODES)
def why(
    id: Annotated[
        str, typer.Argument(metavar="[ID]", help="The X-Request-Id; absent: a list of the last ones.")
    ] = "",
    *,
    only: Annotated[
        str,
        typer.Option(
            metavar="WORDS",
            help="For the list, such as 'failed=server' or 'route=api status=5xx slower=500ms path=/v1/'.",
        ),
    ] = "",
    last: Annotated[int, typer.Option(min=1, max=1000, help="So many in the list.")] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    admin: Annotated[
        str, typer.Option(metavar="URL", help="The admin API of the lb that is meant.")
    ] = servers.ADMIN,
) -> None:
    """Say what happened to a request and why: route, every attempt with its server, times, the outcome.

    Kept are requests that failed, were slow or are in the sample: see decisions in the configuration.
    """
    from lb.cli.why import why as command

    raise typer.Exit(command(admin, id, only, last, json))


@app.command(epilog=EXIT_CODES)
def tail(
    words: Annotated[
        Optional[list[str]],  # noqa: UP045 (typer reads it)
        typer.Argument(metavar="[WORDS]", help="Such as failed route=api status=5xx slower=500ms path=/v1/."),
    ] = None,
    *,
    rate: Annotated[int, typer.Option(min=1, max=1000, help="Up to so many a second.")] = 10,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, one a line.")] = False,
    admin: Annotated[
        str, typer.Option(metavar="URL", help="The admin API of the lb that is meant.")
    ] = servers.ADMIN,
) -> None:
    """Show requests as they end, those on which all words hold; Ctrl-C ends it."""
    from lb.cli.tail import tail as command

    raise typer.Exit(command(admin, " ".join(words or ()), rate, json))


@app.command(epilog=EXIT_CODES)
def top(
    *,
    once: Annotated[bool, typer.Option("--once", help="Print it once; so it is over a pipe.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON, once.")] = False,
    admin: Annotated[
        str, typer.Option(metavar="URL", help="The admin API of the lb that is meant.")
    ] = servers.ADMIN,
) -> None:
    """Show what a running lb does now: rates, errors, times and health of services and servers.

    Keys: q quits, s sorts by rate, errors, p99 or name, f shows what fails alone, / filters by name.
    """
    from lb.cli.top import top as command

    raise typer.Exit(command(admin, once, json))


@app.command(epilog=EXIT_CODES)
def demo(
    config: Annotated[
        Optional[Path],  # noqa: UP045 (typer reads it)
        typer.Argument(help="A configuration whose servers are on 127.0.0.1; absent: a built-in one."),
    ] = None,
) -> None:
    """Run small demo servers and lb in front of them, until Ctrl-C."""
    from lb.cli.demo import demo as command

    raise typer.Exit(command(config))


@app.command()
def version() -> None:
    """Print the version, and whether the compiled build runs."""
    import lb
    from lb import build

    typer.echo(f"lb {lb.__version__} ({build.status()}), Python {sys.version.split()[0]}")


def main() -> None:
    """The console script `lb`."""
    app()
