"""What one access-log line is made of.

Lives here: ExchangeRecord, filled in by the data plane at the end of an exchange and used again for the
next. Must not live here: its formatting (lb.telemetry.accesslog).
"""

from __future__ import annotations

import cython

from lb.message import RequestHead


@cython.cclass
class ExchangeRecord:
    """One finished exchange. Names are encoded once, when a snapshot is built, never per request; empty
    where there is none. Times in seconds.

    `time`: end of the exchange, unix. `client`: address as text. `target`, `host`: as received. `minor`:
    HTTP/1.minor of the client. `bytes_in`, `bytes_out`: bodies, from and to the client. `duration`: request
    head to the last byte. `ttfb`: to the first byte of the server's response; `connect`: opening the server
    connection; `queue`: waiting for one; -1 where unknown or where it did not happen. `attempts`: empty
    where one attempt gave the response; otherwise one tuple (server bytes, status or 0, seconds, flag
    bytes, word of a lb.decisions.Attempt or b"") each, in the order of their ends. `picks`: of each of them
    (lb.decisions.Select, began so long after the exchange, its connection had served before, seconds to
    open it or -1, the id of its span or b""). `flag`: two letters (lb.outcomes). `reason`: a
    lb.decisions.Select. `head`: None where no valid head was received.
    """

    time: cython.double
    client: str
    listener: bytes
    route: bytes
    service: bytes
    server: bytes
    method: bytes
    target: bytes
    host: bytes
    minor: cython.int
    status: cython.int
    bytes_in: cython.longlong
    bytes_out: cython.longlong
    duration: cython.double
    ttfb: cython.double
    connect: cython.double
    queue: cython.double
    attempts: list[tuple[bytes, int, float, bytes, bytes]]
    picks: list[tuple[int, float, bool, float, bytes]]
    flag: bytes
    reason: cython.int
    request_id: bytes
    trace_id: bytes
    head: RequestHead | None
    generation: cython.longlong
    upgraded: cython.bint

    def __init__(self) -> None:
        self.clear()

    @cython.ccall
    def clear(self) -> cython.void:
        """Back to an empty record, holding no reference to the last exchange."""
        self.time = 0.0
        self.client = ""
        self.listener = self.route = self.service = self.server = b""
        self.method = self.target = self.host = self.request_id = self.trace_id = b""
        self.minor = 1
        self.status = 0
        self.bytes_in = self.bytes_out = 0
        self.duration = 0.0
        self.ttfb = self.connect = self.queue = -1.0
        self.attempts = []
        self.picks = []
        self.flag = b"--"
        self.reason = 0
        self.head = None
        self.generation = 0
        self.upgraded = False
