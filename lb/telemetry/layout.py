"""Where each counter lies in a worker's shared-memory cells.

Lives here: the offsets inside a block and the sizes of blocks, as plain ints that the data plane adds
to a `slot`. Every cell is a signed 64-bit integer with one writer, the worker that owns the region.
Gauges are marked; all others only grow. Times are microseconds. Must not live here: code.
"""

from __future__ import annotations

from lb.telemetry.buckets import CELLS, CLASSIC_US

# Cells in the region of one worker: 128 MiB, of which only pages that are used take memory.
REGION = 16 * 1024 * 1024

# Upper bounds of the classic duration buckets, microseconds; the last bucket has none. A histogram in a block
# has CELLS cells, of which lb.telemetry.buckets makes buckets, and stands behind the plain cells, the
# duration first (Cells.summary).
BOUNDS_US = CLASSIC_US
BUCKETS = len(BOUNDS_US) + 1

# Block of the worker itself: always at slot 0 of its region.
WORKER_GENERATION = 0  # gauge
WORKER_RELOADS = 1
WORKER_BUILD_US = 2  # gauge: time the last snapshot took to build
WORKER_STALL_US = 3  # gauge: longest slice of the last build
WORKER_LAG_US = 4  # gauge: how late the last tick of the loop was
WORKER_LOG_DROPPED = 5
WORKER_LAG_MAX_US = 6  # gauge
WORKER_DECISIONS_DROPPED = 7
WORKER_SPANS_DROPPED = 8
WORKER_OUTCOMES = 16  # + Outcome: how many exchanges ended so
WORKER_SIZE = 80

# Block of a listener.
LISTENER_CONNECTIONS = 0  # gauge
LISTENER_ACCEPTED = 1
LISTENER_REJECTED = 2  # over max_connections
LISTENER_REQUESTS = 3
LISTENER_BYTES_IN = 4
LISTENER_BYTES_OUT = 5
LISTENER_TUNNELS = 6  # gauge
LISTENER_SIZE = 8

# Block of (route, service); service is "" for redirect and respond.
ROUTE_IN_FLIGHT = 0  # gauge
ROUTE_CLASS = 0  # + status // 100, 1..5
ROUTE_BYTES_IN = 6
ROUTE_BYTES_OUT = 7
ROUTE_RETRIES = 8
ROUTE_DURATION_SUM = 9
ROUTE_BUDGET_REFUSED = 10  # retries that the budget did not allow
ROUTE_HEDGES = ROUTE_BUDGET_REFUSED + 1
ROUTE_SHED = ROUTE_BUDGET_REFUSED + 2  # requests refused by a breaker or a limit
ROUTE_PANIC = ROUTE_BUDGET_REFUSED + 3  # picks among all servers because too few were usable
ROUTE_STICKY = ROUTE_BUDGET_REFUSED + 4  # requests that went where their cookie says
ROUTE_STICKY_LOST = ROUTE_BUDGET_REFUSED + 5  # requests whose cookie names a server that is gone
ROUTE_BUDGET = ROUTE_BUDGET_REFUSED + 6  # gauge: retries that the budget allows in its window
ROUTE_BUDGET_USED = ROUTE_BUDGET_REFUSED + 7  # gauge: those that were made
ROUTE_DURATION_CELLS = ROUTE_BUDGET_REFUSED + 8  # + lb.telemetry.buckets.cell_of
ROUTE_SIZE = ROUTE_DURATION_CELLS + CELLS

# Block of the copies of a route's requests to another service. It begins like a route's, for a copy is an
# exchange too; what is counted of it there is not shown.
MIRROR_IN_FLIGHT = ROUTE_IN_FLIGHT  # gauge: from the choice of the request to the end of the copy
MIRROR_REQUESTS = ROUTE_SIZE  # copies sent
MIRROR_DIFFERENT = ROUTE_SIZE + 1  # + what differs first: 0 status, 1 a header, 2 the body
MIRROR_FAILED = ROUTE_SIZE + 4  # no answer to compare
MIRROR_SKIPPED = ROUTE_SIZE + 5  # chosen, but not sent
MIRROR_SIZE = ROUTE_SIZE + 6

# Block of a server (service, address).
SERVER_IN_FLIGHT = 0  # gauge
SERVER_CLASS = 0  # + status // 100, 1..5
SERVER_BYTES_IN = 6  # from the server
SERVER_BYTES_OUT = 7  # to the server
SERVER_FAILURES = 8  # attempts that ended in an outcome of side "server"
SERVER_CONNECT_FAILURES = 9
SERVER_CONNECTIONS = 10  # opened
SERVER_REUSED = 11  # attempts on a connection that had served before
SERVER_IDLE = 12  # gauge
SERVER_BUSY = 13  # gauge
SERVER_CONNECTING = 14  # gauge
SERVER_QUEUED = 15  # gauge
SERVER_LIMIT = 16  # gauge: adaptive limit of concurrent requests
SERVER_BREAKER = 17  # gauge: 1 while open
SERVER_DURATION_SUM = 18
SERVER_CONNECT_SUM = 19
SERVER_QUEUE_SUM = 20
SERVER_DURATION_CELLS = 21  # + cell_of: from the beginning of an attempt to the first response byte
SERVER_CONNECT_CELLS = SERVER_DURATION_CELLS + CELLS  # + cell_of: a connection that was opened
SERVER_QUEUE_CELLS = SERVER_CONNECT_CELLS + CELLS  # + cell_of: an exchange that waited and got its turn
SERVER_SIZE = SERVER_QUEUE_CELLS + CELLS

# Cells to be zeroed when a worker died: its gauges, by kind of block.
WORKER_GAUGES = (WORKER_GENERATION, WORKER_BUILD_US, WORKER_STALL_US, WORKER_LAG_US, WORKER_LAG_MAX_US)
LISTENER_GAUGES = (LISTENER_CONNECTIONS, LISTENER_TUNNELS)
ROUTE_GAUGES = (ROUTE_IN_FLIGHT, ROUTE_BUDGET, ROUTE_BUDGET_USED)
MIRROR_GAUGES = (MIRROR_IN_FLIGHT,)
SERVER_GAUGES = (
    SERVER_IN_FLIGHT,
    SERVER_IDLE,
    SERVER_BUSY,
    SERVER_CONNECTING,
    SERVER_QUEUED,
    SERVER_LIMIT,
    SERVER_BREAKER,
)
