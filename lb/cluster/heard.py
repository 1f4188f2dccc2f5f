"""What nodes said that they saw: the highest of it, for a leader that saw less.

Lives here: reading it out of the reports. Must not live here: reporting it (lb.cluster.following), numbering
(lb.cluster.desk), campaigning (lb.cluster.elector), orders (lb.cluster.ordering).

A store that lost its last writes (a replica of Redis that took over) may have a leader that saw none of them,
while another node did, and refuses what is not above. So revisions and epochs go on above what any node saw.
"""

from __future__ import annotations

from lb.cluster.shared import Shared


class Heard:
    """One per node; the leader's desk has it look. The numbers only grow, and any thread may read them."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.revision = 0
        self.epoch = 0

    async def look(self) -> None:
        """Raises EngineError."""
        for report in await self._shared.nodes():
            self.revision = max(self.revision, report.seen)
            self.epoch = max(self.epoch, report.seen_epoch)
