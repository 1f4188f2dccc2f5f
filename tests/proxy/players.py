"""Both sides of an Exchange as players: they write down what they are asked, and check that it makes sense
in that order."""

from __future__ import annotations

from lb.http1.response import read_response
from lb.message import Client
from lb.outcomes import Outcome
from lb.proxy.core import Core
from lb.proxy.exchange import Exchange
from lb.proxy.forwarded import own_lines
from lb.proxy.sides import ClientSide, ServerSide

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n"


class Asker(ClientSide):
    """The client's side. `said` holds what it was told, in order."""

    def __init__(self, core: Core, address: str = "192.0.2.1") -> None:
        self.rules = core.listeners["web"]
        self.client = Client(address, "web")
        self.scheme = b"http"
        self.trusted = False
        self.own_lines = own_lines(self.rules, address, b"http")
        self.said: list[tuple] = []
        self.holds = 0
        self.full = self.begun = self.ended = False
        self.times_done = 0
        self.gone = False  # a connection that is gone takes anything, to no effect
        self.exchange: Exchange | None = None

    def _alive(self) -> None:
        assert not self.times_done, f"asked after the end: {self.said}"

    def respond(self, head, piece, last):
        self._alive()
        assert not self.begun
        self.begun, self.ended = True, last
        self.said.append(("respond", head.status, piece, last))

    def respond_interim(self, head):
        self._alive()
        assert not self.begun
        self.said.append(("interim", head.status))

    def respond_self(self, status, lines, body, close):
        self._alive()
        assert not self.begun, "a second response"
        self.begun = self.ended = True
        self.said.append(("self", status, lines, body, close))

    def send(self, piece, last, trailers):
        self._alive()
        assert self.begun and not self.ended
        self.ended = last
        self.said.append(("send", piece, last, trailers))

    def open_tunnel(self, head):
        self._alive()
        assert not self.begun
        self.begun = True
        self.said.append(("tunnel", head.status))

    def send_raw(self, data, ended):
        self._alive()
        assert not self.ended
        self.ended = ended
        self.said.append(("raw", data, ended))

    def break_off(self):
        self._alive()
        assert self.begun
        self.said.append(("break",))

    def hold(self, why):
        self.holds |= why

    def let_go(self, why):
        self.holds &= ~why

    def held(self):
        return self.holds != 0

    def blocked(self):
        return self.full

    def done(self):
        self._alive()
        self.times_done += 1
        self.exchange = None

    @property
    def answer(self) -> int:
        """The status that the client got; 0 where none."""
        return next((s[1] for s in self.said if s[0] in ("respond", "self", "tunnel")), 0)


class Server(ServerSide):
    """The server's side, with the states of a real connection: opening, ready, head, body, tunnel, closed."""

    def __init__(self, pool, exchange) -> None:
        super().__init__(pool)
        self.exchange = exchange
        self.at = "opening"
        self.out = b""
        self.starts: list[bytes] = []
        self.held = False
        self.client_ended = False

    def start(self, exchange, out, no_body):
        assert self.at == "ready" and not self.held, "not fit for an exchange"
        self.exchange = exchange
        self.reusable = False
        self.at = "head"
        self.served += 1
        self.starts.append(out)
        self.out = out

    def send(self, data):
        assert self.at in ("head", "body", "tunnel", "closed")
        self.out += data

    def end_tunnel(self):
        assert self.at == "tunnel" and not self.client_ended
        self.client_ended = True

    def hold(self):
        self.held = self.at not in ("opening", "closed")

    def let_go(self):
        self.held = False

    def close(self):
        self.pool.drop(self)
        self.at = "closed"

    # what the server does

    def connect(self) -> None:
        self.at = "ready"
        self.state = 1
        self.exchange.connected(self)

    def refuse(self) -> None:
        self.at = "closed"
        self.exchange.server_failed(Outcome.CONNECT_FAILED, False)

    def answer(self, raw=OK, piece=b"ok", last=True, trailers=b"", reusable=True) -> None:
        exchange = self.exchange
        assert read_response(raw, 0, 0, exchange.response, 65536, 100) == len(raw)
        if exchange.response.status == 101:
            self.at = "tunnel"
            exchange.got_tunnel()
        elif exchange.response.status < 200:
            exchange.got_interim()
        else:
            self.at = "ready" if last else "body"
            self.reusable = last and reusable
            exchange.got_response(piece, last, trailers)

    def more(self, piece=b"", last=True, trailers=b"", reusable=True) -> None:
        self.at = "ready" if last else "body"
        self.reusable = last and reusable
        self.exchange.got_body(piece, last, trailers)

    def lose(self) -> None:
        exchange, at, self.at = self.exchange, self.at, "closed"
        self.pool.drop(self)
        if exchange is not None and at == "head":
            exchange.server_failed(Outcome.SERVER_RESET, self.served > 1)
        elif exchange is not None:
            exchange.server_failed(Outcome.SERVER_BROKE_OFF, False)
