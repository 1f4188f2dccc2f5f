"""Writer: bytes leave in order, whatever the socket takes at once."""

from __future__ import annotations

import asyncio
import socket

import pytest

from lb.proxy.writer import Writer

MEGABYTE = 1024 * 1024


class Quiet(asyncio.Protocol):
    def __init__(self) -> None:
        self.lost = asyncio.get_running_loop().create_future()

    def connection_lost(self, error: Exception | None) -> None:
        self.lost.set_result(error)


async def pair() -> tuple[Writer, Quiet, asyncio.Transport, socket.socket]:
    """A Writer, its protocol and transport, and the other end, which has small buffers and does not read."""
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        end.setblocking(False)
        end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16 * 1024)
    transport, protocol = await asyncio.get_running_loop().create_connection(Quiet, sock=ours)
    return Writer(transport), protocol, transport, theirs


async def received(sock: socket.socket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, MEGABYTE), 5)
        assert piece, "ended early"
        data += piece
    return data


@pytest.mark.parametrize("size", [10, 100_000, 3 * MEGABYTE])
def test_bytes_leave_in_order(size: int) -> None:
    async def script() -> None:
        writer, _, transport, other = await pair()
        pieces = [b"head", b"a" * size, b"b", b"c" * size]
        writer.write(pieces[0])
        writer.write_both(b"", pieces[1])
        writer.write(pieces[2])
        writer.write_both(pieces[3], b"end")
        writer.write_both(b"x" * size, b"y" * size)
        wanted = b"".join(pieces) + b"end" + b"x" * size + b"y" * size
        assert writer.pending() == (size > 10)
        assert await received(other, len(wanted)) == wanted
        # the queue is empty again: bytes go straight out
        writer.write(b"after")
        assert not writer.pending()
        assert await received(other, 5) == b"after"
        transport.close()
        other.close()

    asyncio.run(script())


def test_a_broken_connection_ends_in_connection_lost_even_while_reading_is_paused() -> None:
    async def script() -> None:
        writer, protocol, transport, other = await pair()
        transport.pause_reading()
        other.close()
        for _ in range(3):
            writer.write(b"into the void")
            writer.write_both(b"head", b"b" * 20_000)
        await asyncio.wait_for(protocol.lost, 5)

    asyncio.run(script())
