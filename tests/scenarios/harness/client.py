"""A client that sends exactly the bytes it is told and reads answers strictly."""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass, field

from .wire import DEADLINE, Body, Head, Malformed, Wire, parse_head

STATUS = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([\t -~\x80-\xff]*)")


@dataclass
class Response:
    status: int
    head: Head
    body: bytes = b""
    chunks: list[bytes] = field(default_factory=list)
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    interim: list[Response] = field(default_factory=list)
    framing: int | str | None = None  # a content-length, "chunked", or None: no body or ended by close

    def get(self, name: str) -> str | None:
        return self.head.get(name)

    def all(self, name: str) -> list[str]:
        return self.head.all(name)

    @property
    def text(self) -> str:
        return self.body.decode("latin-1")

    def seen_by_server(self) -> Head:
        """For an answer of the echoing Origin: the request head that reached it."""
        end = self.body.index(b"\r\n\r\n") + 4
        return parse_head(self.body[:end])


class Client(Wire):
    """`name` is the Host that requests made by `get` and `request` carry."""

    def __init__(self, address: str, name: str = "example.test", receive_buffer: int = 0) -> None:
        if address.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            place: object = address[5:]
        else:
            host, port = address.rsplit(":", 1)
            host = host.strip("[]")
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            place = (host, int(port))
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(DEADLINE)
        sock.connect(place)
        super().__init__(sock)
        self.name = name

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- composing
    def compose(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | list[tuple[str, str]] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        pairs = list(headers.items()) if isinstance(headers, dict) else list(headers or [])
        if not any(k.lower() == "host" for k, _ in pairs):
            pairs.insert(0, ("Host", self.name))
        if body is not None and not any(
            k.lower() in ("content-length", "transfer-encoding") for k, _ in pairs
        ):
            pairs.append(("Content-Length", str(len(body))))
        lines = "".join(f"{k}: {v}\r\n" for k, v in pairs)
        return f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode("latin-1") + (body or b"")

    def send_request(self, method: str, target: str, headers=None, body: bytes | None = None) -> None:
        self.send(self.compose(method, target, headers, body))

    def request(self, method: str, target: str, headers=None, body: bytes | None = None) -> Response:
        self.send_request(method, target, headers, body)
        return self.recv_response(method)

    def get(self, target: str = "/", headers=None) -> Response:
        return self.request("GET", target, headers)

    # -- reading answers
    def recv_response_head(self) -> Response:
        head = self.recv_head()
        m = STATUS.fullmatch(head.start)
        if m is None:
            raise Malformed(f"status line {head.start!r}")
        return Response(int(m[1]), head)

    def recv_response(self, method: str = "GET") -> Response:
        """The next final answer with its body; interim answers hang on it. Broken if it does not end."""
        interim = []
        while (response := self.recv_response_head()).status < 200 and response.status != 101:
            if response.head.framing() is not None:
                raise Malformed(f"interim answer with framing {response.head.raw!r}")
            interim.append(response)
        response.interim = interim
        body = self._recv_body(response, method)
        response.body, response.chunks, response.trailers = body.data, body.chunks, body.trailers
        return response

    def _recv_body(self, response: Response, method: str) -> Body:
        response.framing = framing = response.head.framing()
        if response.status in (101, 204) and framing is not None:  # RFC 9110 8.6, 9112 6.1: MUST NOT
            raise Malformed(f"{response.status} with framing: {response.head.raw!r}")
        if method == "HEAD" or response.status in (101, 204, 304):
            return Body()
        if method == "CONNECT" and response.status < 300:
            return Body()
        if framing == "chunked":
            return self.recv_chunked()
        if framing is not None:
            return Body(self.recv_exactly(int(framing)))
        if "close" not in response.head.tokens("connection"):
            raise Malformed(f"a body without framing on a connection that stays open: {response.head.raw!r}")
        return Body(self.recv_to_end())
