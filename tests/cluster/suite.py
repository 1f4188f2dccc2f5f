"""What every coordination engine keeps, against the real server: one suite for all of them.

A test class of an engine derives from EngineSuite (without a server) or RemoteSuite (tests.cluster.remote),
and says how its engine is made and its store damaged: see tests.cluster.ground.
"""

from __future__ import annotations

from tests.cluster.locking import LockSuite
from tests.cluster.storing import StoreSuite


class EngineSuite(LockSuite, StoreSuite):
    pass
