"""Set-Cookie of sticky sessions on real connections: on which responses it is, and what is counted."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

from lb.plan import (
    HeaderEditsPlan,
    ListenerPlan,
    Plan,
    RetryPlan,
    RoutePlan,
    ServerPlan,
    ServicePlan,
    StickyPlan,
    WeightedService,
)
from lb.proxy.plane import DataPlane
from lb.telemetry import layout
from lb.telemetry.cells import Cells
from lb.upstream.sticky import token_of

LISTENER, ROUTE, SERVERS = 100, 200, 1000
KEY = "ab" * 32
STICKY = StickyPlan("who", KEY, attributes="; Path=/; HttpOnly")
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


class Stage:
    """A plane with two servers that answer with their own name, or with what `answers` says."""

    def __init__(self, sticky: StickyPlan | None = STICKY, **route) -> None:
        self.sticky, self.route = sticky, route
        self.answers: dict[str, bytes] = {}
        self.got: list[bytes] = []

    async def __aenter__(self) -> Stage:
        self.cells = Cells(-1, 0, 1, 10_000)
        self.listening = {name: await self._server(name) for name in "ab"}
        self.address = {
            name: f"127.0.0.1:{server.sockets[0].getsockname()[1]}" for name, server in self.listening.items()
        }
        self.plane = DataPlane(asyncio.get_running_loop(), self.cells, 0, lambda _: None)
        members = tuple(
            ServerPlan(address, slot=SERVERS + 100 * n) for n, address in enumerate(self.address.values())
        )
        route = RoutePlan("r", services=(WeightedService("app", 1, ROUTE),), **self.route)
        plan = Plan(
            1,
            (ListenerPlan("web", ("127.0.0.1:0",), slot=LISTENER),),
            (route,),
            (ServicePlan("app", servers=members, sticky=self.sticky),),
        )
        self.plane.publish(_built(self.plane, plan))
        self.sock = socket.create_server(("127.0.0.1", 0))
        self.plane.serve("web", self.sock)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.plane.abort()
        for server in self.listening.values():
            server.close()
        self.sock.close()

    async def _server(self, name: str) -> asyncio.Server:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    self.got.append(await reader.readuntil(b"\r\n\r\n"))
                    plain = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n" + name.encode()
                    answer = self.answers.get(name, plain)
                    writer.write(answer)
                    if not answer:
                        break
            writer.close()

        return await asyncio.start_server(serve, "127.0.0.1", 0)

    def token(self, name: str) -> bytes:
        return token_of(bytes.fromhex(KEY), "app", self.address[name])

    def count(self, name: str) -> int:
        return self.cells.get(ROUTE + getattr(layout, f"ROUTE_{name}"))

    async def ask(self, cookie: bytes = b"", more: bytes = b"") -> tuple[bytes, list[bytes]]:
        """(status line and body, the Set-Cookie lines) of one response."""
        reader, writer = await asyncio.open_connection(*self.sock.getsockname())
        line = b"Cookie: who=%b\r\n" % cookie if cookie else b""
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n%b%b\r\n" % (line, more))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        lines = head.split(b"\r\n")
        length = next((int(n[16:]) for n in lines if n.lower().startswith(b"content-length: ")), 0)
        body = await reader.readexactly(length)
        writer.close()
        return lines[0] + b" " + body, [n for n in lines if n.startswith(b"Set-Cookie: who=")]


def _built(plane: DataPlane, plan: Plan):
    steps = plane.build(plan)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value


def run(play, *args, **route) -> None:
    async def whole() -> None:
        async with Stage(*args, **route) as stage:
            await play(stage)

    asyncio.run(whole())


def line_of(stage: Stage, name: str) -> bytes:
    return b"Set-Cookie: who=%b; Path=/; HttpOnly" % stage.token(name)


def test_the_first_response_sets_it_and_the_next_goes_back():
    async def play(stage: Stage) -> None:
        said, cookies = await stage.ask()
        name = chr(said[-1])
        assert cookies == [line_of(stage, name)]
        for _ in range(5):
            assert await stage.ask(stage.token(name)) == (said, [])
        assert stage.got[-1].count(b"Cookie: who=") == 1, "the server sees it as well"
        assert (stage.count("STICKY"), stage.count("STICKY_LOST")) == (5, 0)

    run(play)


def test_a_cookie_of_nobody_is_replaced():
    async def play(stage: Stage) -> None:
        said, cookies = await stage.ask(b"made-up")
        assert cookies == [line_of(stage, chr(said[-1]))]
        assert (stage.count("STICKY"), stage.count("STICKY_LOST")) == (0, 1)

    run(play)


def test_a_retry_elsewhere_moves_the_session():
    async def play(stage: Stage) -> None:
        stage.answers["a"] = b""
        said, cookies = await stage.ask(stage.token("a"))
        assert (chr(said[-1]), cookies) == ("b", [line_of(stage, "b")])
        assert (stage.count("STICKY"), stage.count("STICKY_LOST")) == (1, 0)
        assert await stage.ask(stage.token("b")) == (said, [])

    run(play, retry=RetryPlan(on=("connect", "reset")))


def test_an_error_of_lb_sets_nothing_and_one_of_the_server_does():
    async def play(stage: Stage) -> None:
        stage.answers = dict.fromkeys("ab", b"")
        said, cookies = await stage.ask()
        assert said.startswith(b"HTTP/1.1 502 ") and cookies == []
        stage.answers = dict.fromkeys("ab", b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        said, cookies = await stage.ask()
        assert said.startswith(b"HTTP/1.1 503 No") and len(cookies) == 1

    run(play, retry=RetryPlan(attempts=0))


def test_where_nobody_is_eligible_the_client_is_asked_to_come_again():
    async def play(stage: Stage) -> None:
        service = stage.plane.snapshot.services["app"]
        for server in service.servers:
            server.usable = False
        service.refresh()
        reader, writer = await asyncio.open_connection(*stage.sock.getsockname())
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nCookie: who=%b\r\n\r\n" % stage.token("a"))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.startswith(b"HTTP/1.1 503 ") and b"\r\nRetry-After: 1\r\n" in head
        assert b"Set-Cookie" not in head
        writer.close()

    run(play)


def test_the_server_keeps_its_own_cookies_whatever_the_route_edits():
    async def play(stage: Stage) -> None:
        mine = b"HTTP/1.1 200 OK\r\nSet-Cookie: mine=1\r\nContent-Length: 1\r\n\r\na"
        stage.answers = dict.fromkeys("ab", mine)
        _, cookies = await stage.ask()
        assert len(cookies) == 1

    run(play)
    run(play, response_headers=HeaderEditsPlan(remove=("set-cookie",)))


def test_a_tunnel_sets_it_too():
    async def play(stage: Stage) -> None:
        stage.answers = dict.fromkeys("ab", SWITCH)
        said, cookies = await stage.ask(b"", b"Connection: upgrade\r\nUpgrade: websocket\r\n")
        assert said.startswith(b"HTTP/1.1 101 ") and len(cookies) == 1

    run(play)


def test_with_a_ttl_every_response_sets_it():
    async def play(stage: Stage) -> None:
        said, cookies = await stage.ask()
        again, more = await stage.ask(stage.token(chr(said[-1])))
        assert again == said and more == cookies != []

    run(play, StickyPlan("who", KEY, 60.0, "; Max-Age=60"))


def test_off_there_is_none():
    async def play(stage: Stage) -> None:
        names = set()
        for _ in range(4):
            said, cookies = await stage.ask(stage.token("a"))
            names.add(said)
            assert cookies == []
        assert len(names) == 2 and (stage.count("STICKY"), stage.count("STICKY_LOST")) == (0, 0)

    run(play, None)


def test_picks_in_panic_are_counted():
    async def play(stage: Stage) -> None:
        service = stage.plane.snapshot.services["app"]
        service.panic_threshold = 0.9
        service.servers[0].usable = False
        service.refresh()
        assert {(await stage.ask())[0][-1:] for _ in range(4)} == {b"a", b"b"}
        assert stage.count("PANIC") == 4
        service.servers[0].usable = True
        service.refresh()
        await stage.ask()
        assert stage.count("PANIC") == 4

    run(play, None)
