"""A host of its own on this machine: a network namespace behind a wire that can be made bad.

Needs root, `ip` and `nft`. Loss, silence, reset and one-way partitions are nftables rules inside the
namespace; a narrow link is tc tbf. `tc netem` is missing from some kernels, so delay is made by Delay, a
small proxy between lb and a server.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import threading

_numbers = itertools.count(os.getpid() % 200)


def run(*command: str, check: bool = True) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip()}")


class Network:
    """`with Network() as far:` a namespace with the address `far.host`; a server runs in it as
    `Player(f"{far.host}:80", "s", far.prefix)`."""

    def __init__(self) -> None:
        number = next(_numbers) % 250
        self.name = f"lbfault{number}"
        self.near, self.host = f"10.203.{number}.1", f"10.203.{number}.2"
        self.prefix = ("ip", "netns", "exec", self.name)
        self._ours, self._theirs = f"lbf{number}a", f"lbf{number}b"

    def __enter__(self) -> Network:
        run("ip", "netns", "del", self.name, check=False)
        run("ip", "netns", "add", self.name)
        try:
            run("ip", "link", "add", self._ours, "type", "veth", "peer", "name", self._theirs)
            run("ip", "link", "set", self._theirs, "netns", self.name)
            run("ip", "address", "add", f"{self.near}/24", "dev", self._ours)
            run("ip", "link", "set", self._ours, "up")
            for words in (
                f"ip address add {self.host}/24 dev {self._theirs}",
                f"ip link set {self._theirs} up",
                "ip link set lo up",
            ):
                run(*self.prefix, *words.split())
            self._nft("add table inet faults")
            for chain in ("input", "output"):
                self._nft(f"add chain inet faults {chain} {{ type filter hook {chain} priority 0; }}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        run("ip", "link", "del", self._ours, check=False)
        run("ip", "netns", "del", self.name, check=False)

    def _nft(self, rule: str) -> None:
        run(*self.prefix, "nft", rule)

    def loses(self, percent: int) -> None:
        """So many of a hundred TCP packets get lost, each way."""
        for chain in ("input", "output"):
            self._nft(f"add rule inet faults {chain} meta l4proto tcp numgen random mod 100 < {percent} drop")

    def is_silent(self) -> None:
        """Nothing gets through, and nobody says so."""
        for chain in ("input", "output"):
            self._nft(f"add rule inet faults {chain} meta l4proto tcp drop")

    def hears_nothing(self) -> None:
        """One way only: what the server sends still arrives."""
        self._nft("add rule inet faults input meta l4proto tcp drop")

    def says_nothing(self) -> None:
        """One way only: the server hears everything, and its answers get lost."""
        self._nft("add rule inet faults output meta l4proto tcp drop")

    def resets(self) -> None:
        """Every packet is answered with a reset."""
        self._nft("add rule inet faults input meta l4proto tcp reject with tcp reset")

    def is_unreachable(self) -> None:
        """Every packet is answered with an ICMP error."""
        self._nft("add rule inet faults input meta l4proto tcp reject")

    def is_narrow(self, rate: str = "1mbit") -> None:
        """The link carries no more than `rate`, in the words of tc."""
        words = f"tc qdisc replace dev {self._theirs} root tbf rate {rate} burst 16kb latency 200ms"
        run(*self.prefix, *words.split())

    def heals(self) -> None:
        self._nft("flush table inet faults")
        run(*self.prefix, "tc", "qdisc", "del", "dev", self._theirs, "root", check=False)


class Delay:
    """A proxy that holds bytes back for `seconds`, each way; `address` is where lb finds it."""

    def __init__(self, server: str, seconds: float) -> None:
        host, port = server.rsplit(":", 1)
        self.place, self.seconds = (host, int(port)), seconds
        started = threading.Event()
        self.loop = asyncio.new_event_loop()

        async def start() -> None:
            listening = await asyncio.start_server(self._relay, "127.0.0.1", 0)
            self.address = f"127.0.0.1:{listening.sockets[0].getsockname()[1]}"
            started.set()

        self.loop.create_task(start())
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        started.wait(5)

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(*self.place)
        except OSError:
            writer.transport.abort()
            return
        await asyncio.gather(self._copy(reader, there[1]), self._copy(there[0], writer))

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                self.loop.call_later(self.seconds, writer.write, data)
        except ConnectionError:
            pass
        self.loop.call_later(self.seconds + 0.01, writer.close)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join(5)
