"""The Prometheus exposition: shared-memory cells and process facts in the format that the scraper asks for.

Lives here: Metrics, which gathers, then renders in a thread. Must not live here: which families there are
(lb.telemetry.families), reading (lb.telemetry.collected, lb.telemetry.rows), the formats of what is many
(lb.telemetry.blocks, lb.telemetry.protobuf).

The families that grow with the configuration (routes, servers) are rendered by filling prepared text,
since prometheus-client takes a second for 5,000 routes; all others go through prometheus-client, and
the tests read the whole with its parsers.

A status class and a histogram appear with the first response that they count; every other series is
there, as zero, as soon as its listener, route or server is.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from lb.telemetry import protobuf
from lb.telemetry.blocks import BlockText
from lb.telemetry.cells import Cells
from lb.telemetry.collected import Collected
from lb.telemetry.exemplars import Exemplar
from lb.telemetry.facts import ProcessFacts
from lb.telemetry.ledger import Ledger
from lb.telemetry.rows import KINDS, Identity, read

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROTOBUF = protobuf.MEDIA


class _Gathered(NamedTuple):
    """What belongs to control's loop; the cells are read where it is rendered."""

    small: list[Metric]
    blocks: Sequence[Sequence[tuple[Identity, int]]]  # by kind
    exemplars: Mapping[Identity, Exemplar]

    def collect(self) -> list[Metric]:
        """As a registry of prometheus-client does."""
        return self.small


class Metrics:
    """Renders all metrics. One per control process; reading takes no lock of the workers and stops nobody.

    A block that is freed and given away while it is rendered may be shown once more under its old name.
    """

    def __init__(self, cells: Cells, ledger: Ledger, facts: ProcessFacts) -> None:
        self._cells = cells
        self._ledger = ledger
        self._facts = facts
        self._collected = Collected(cells, ledger, facts)
        self._texts = [BlockText(kind) for kind in KINDS]
        self._one = asyncio.Lock()

    async def scrape(self, media: str, gzip: bool) -> bytes:
        """All families in the content type TEXT, OPENMETRICS or PROTOBUF; in control's loop, which goes on
        meanwhile. One scrape at a time: the others wait."""
        async with self._one:
            return await asyncio.to_thread(self._packed, self._gather(), media, gzip)

    def render(self, media: str = TEXT) -> bytes:
        """The same, here and now."""
        return self._write(self._gather(), media)

    def _gather(self) -> _Gathered:
        ledger = self._ledger
        blocks = (ledger.routes(), ledger.mirrors(), ledger.servers())
        return _Gathered(self._collected.collect(), [[*one] for one in blocks], self._facts.exemplars.taken())

    def _packed(self, gathered: _Gathered, media: str, gzip: bool) -> bytes:
        text = self._write(gathered, media)
        # Level 1: a fifth of the time of the default for a third more bytes.
        return zlib.compress(text, 1, zlib.MAX_WBITS | 16) if gzip else text

    def _write(self, gathered: _Gathered, media: str) -> bytes:
        rows = [read(self._cells, kind, one) for kind, one in zip(KINDS, gathered.blocks, strict=True)]
        if media == PROTOBUF:
            written = bytearray()
            for metric in gathered.small:
                written += protobuf.small(metric)
            for kind, some in zip(KINDS, rows, strict=True):
                protobuf.blocks(written, kind, self._cells, some, gathered.exemplars)
            return bytes(written)
        openmetrics = media == OPENMETRICS
        generate = generate_openmetrics if openmetrics else generate_latest
        parts = [generate(gathered).removesuffix(b"# EOF\n").decode()]
        for text, some in zip(self._texts, rows, strict=True):
            text.render(parts, self._cells, some, openmetrics, gathered.exemplars)
        if openmetrics:
            parts.append("# EOF\n")
        return "".join(parts).encode()
