"""A scripted server: says exactly what a test tells it, and remembers exactly what it was sent."""

from __future__ import annotations

import contextlib
import queue
import select
import socket
import threading
import time
from collections.abc import Callable

from .wire import DEADLINE, Body, Broken, Head, Wire

Behaviour = Callable[["Exchange"], None]


class Exchange:
    """One request that reached the server: the other half of the test's script."""

    def __init__(self, wire: Wire, head: Head, number: int) -> None:
        self.wire = wire
        self.head = head
        self._sent_before = wire.sent
        self.number = number  # which request on its connection, from 0
        self.received_body: Body | None = None
        self.released = threading.Event()
        self.method, self.target, self.version = [*head.start.decode("latin-1").split(" "), "", ""][:3]

    @property
    def sent(self) -> int:
        """Bytes of the answer that the kernel took."""
        return self.wire.sent - self._sent_before

    @property
    def complete(self) -> bool:
        return self.received_body is not None

    def body(self) -> bytes:
        """Read the request's body to its end (Broken if it never comes)."""
        if self.received_body is None:
            framing = self.head.framing()
            if framing == "chunked":
                self.received_body = self.wire.recv_chunked()
            else:
                self.received_body = Body(self.wire.recv_exactly(int(framing or 0)))
        return self.received_body.data

    def send(self, data: bytes) -> None:
        self.wire.send(data)

    def respond(self, body: bytes = b"", status: str = "200 OK", headers: str = "") -> None:
        self.send(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n{headers}\r\n".encode() + body)

    def finish(self) -> None:
        """Give the connection back: the server waits for the next request on it."""
        self.released.set()

    def close(self) -> None:
        self.wire.close()
        self.released.set()

    def reset(self) -> None:
        self.wire.reset()
        self.released.set()

    def dropped(self, timeout: float = DEADLINE) -> bool:
        """Wait until lb has hung up this connection."""
        until = time.monotonic() + timeout
        try:
            while self.wire.fill(max(0.01, until - time.monotonic())):
                pass
        except AssertionError:
            return False
        return True


def echo(x: Exchange) -> None:
    """200 with the request as the server got it, head and (de-chunked) body."""
    x.respond(x.head.raw + x.body())


def answer(raw: bytes, then: str = "") -> Behaviour:
    """Read the request, say `raw`, and then keep the connection ("", the default), "close" or "reset" it."""

    def behave(x: Exchange) -> None:
        x.body()
        x.send(raw)
        if then:
            x.close() if then == "close" else x.reset()

    return behave


def readable(sock: socket.socket) -> bool:
    """Whether something waits at this socket, without touching it: another thread may be reading it."""
    if sock.fileno() < 0:
        return False
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


class Origin:
    """A server on a port of its own (or at `place`, or a unix socket); a thread for each connection.

    `behaviour` is called for every request and may be changed at any time. `take_over()` hands the
    requests to the test instead: `next_request()` gives them one by one.
    """

    def __init__(
        self,
        behaviour: Behaviour = echo,
        *,
        path: str | None = None,
        place: tuple[str, int] = ("127.0.0.1", 0),
    ) -> None:
        self.behaviour = behaviour
        self.first_behaviour = behaviour
        self.exchanges: list[Exchange] = []
        self.connections: list[Wire] = []
        self.errors: list[BaseException] = []
        self._taken: queue.Queue[Exchange] = queue.Queue()
        if path is not None:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(path)
            self.address = f"unix:{path}"
        else:
            self.listener = socket.socket()
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind(place)
            self.address = "{}:{}".format(*self.listener.getsockname())
        self.listener.listen(1024)
        threading.Thread(target=self._accept, daemon=True).start()

    # -- for tests
    def take_over(self) -> None:
        self.behaviour = self._hand_over

    def next_request(self, timeout: float = DEADLINE) -> Exchange:
        try:
            return self._taken.get(timeout=timeout)
        except queue.Empty:
            raise AssertionError(f"no request reached the server within {timeout} s") from None

    def nothing_came(self, seconds: float = 0.15) -> bool:
        """True if no request reaches a taken-over server for this long."""
        try:
            self._taken.get(timeout=seconds)
        except queue.Empty:
            return True
        return False

    def last(self) -> Exchange:
        return self.exchanges[-1]

    def reset(self) -> None:
        """Forget everything and behave as at first."""
        self.behaviour = self.first_behaviour
        while not self._taken.empty():
            self._taken.get().reset()
        for x in self.exchanges:
            if not x.released.is_set() and x.received_body is None:
                x.close()
            x.released.set()
        self._settle()
        self.exchanges = []
        self.connections = [c for c in self.connections if not c.ended]

    def _settle(self) -> None:
        """Wait until everything that lb has sent so far was read: it belongs to the test before."""
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            idle = all(c.ended or (c.waiting and not readable(c.sock)) for c in self.connections)
            if idle and not readable(self.listener):
                return
            time.sleep(0.001)

    def stop_listening(self) -> None:
        """Refuse new connections from now on; those that are open live on."""
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def close(self) -> None:
        self.stop_listening()
        for x in self.exchanges:
            x.released.set()
        for wire in self.connections:
            wire.close()

    # -- the server itself
    def _hand_over(self, x: Exchange) -> None:
        self._taken.put(x)
        x.released.wait()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            wire = Wire(sock)
            self.connections.append(wire)
            threading.Thread(target=self._serve, args=(wire,), daemon=True).start()

    def _serve(self, wire: Wire) -> None:
        number = 0
        try:
            while not wire.ended:
                wire.waiting = True
                head = wire.recv_head(timeout=None)
                wire.waiting = False
                x = Exchange(wire, head, number)
                self.exchanges.append(x)
                number += 1
                self.behaviour(x)
                if not wire.ended:
                    x.body()
        except (Broken, OSError):
            wire.close()
        except BaseException as problem:  # shown by the Scenario at its end
            self.errors.append(problem)
            wire.close()
