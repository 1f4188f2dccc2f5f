from lb.proxy.budget cimport Budget
from lb.routing.route cimport Route
from lb.upstream.service cimport Service

cdef class MirrorRules

cdef class RouteRules:
    cdef public Route route
    cdef public bytes label
    cdef public list[Service] services
    cdef public list[int] slots
    cdef public Py_ssize_t slot
    cdef public double connect
    cdef public double response
    cdef public double attempt
    cdef public double total
    cdef public double idle
    cdef public int attempts
    cdef public bint retry_connect
    cdef public bint retry_reset
    cdef public bint retry_timeout
    cdef public frozenset[int] retry_statuses
    cdef public frozenset[bytes] retry_methods
    cdef public Budget budget
    cdef public double budget_share
    cdef public double budget_floor
    cdef public double backoff
    cdef public double backoff_max
    cdef public Py_ssize_t replay
    cdef public double hedge
    cdef public bint plain
    cdef public MirrorRules mirror

cdef class MirrorRules:
    cdef public RouteRules rules
    cdef public Service service
    cdef public Py_ssize_t slot
    cdef public double share
    cdef public bint status
    cdef public tuple headers
    cdef public bint body
    cdef public long long max_body

cdef class ListenerRules:
    cdef public str name
    cdef public bytes label
    cdef public Py_ssize_t slot
    cdef public long long max_connections
    cdef public double header_timeout
    cdef public double idle_timeout
    cdef public double max_age
    cdef public double body_timeout
    cdef public Py_ssize_t max_header_bytes
    cdef public int max_headers
    cdef public long long max_body
    cdef public bint add_for
    cdef public bint add_proto
    cdef public bint add_host
    cdef public bint add_forwarded
    cdef public bint add_via
    cdef public bint proxy_status
    cdef public unsigned long long drop
    cdef public tuple networks
