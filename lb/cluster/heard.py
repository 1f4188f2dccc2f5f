"""What nodes said that they saw: the highest of it, for a leader that saw less.

Lives here: reading it out of the reports. Must not live here: reporting it (lb.cluster.following), numbering
(lb.cluster.desk), campaigning (lb.cluster.elector), orders (lb.cluster.ordering).

A store that lost its last writes (a replica of Redis that took over) may have a leader that saw none of them,
while another node did, and refuses what is not above. So revisions go on above what any node saw, and no
epoch is below.
"""

from __future__ import annotations

from lb.cluster.shared import Shared


class Heard:
    """One per node; the leader's desk has it look. Any thread may read the numbers."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self.revision = 0
        self.epoch = 0

    async def look(self) -> None:
        """Raises EngineError."""
        reports = await self._shared.nodes()
        self.revision = max((report.seen for report in reports), default=0)
        self.epoch = max((report.seen_epoch for report in reports), default=0)
