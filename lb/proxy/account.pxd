from lb.proxy.core cimport Core
from lb.proxy.overload cimport learn_failure
from lb.proxy.rules cimport ListenerRules
from lb.proxy.state cimport ExchangeState
from lb.telemetry.cells cimport Cells
from lb.telemetry.record cimport ExchangeRecord
from lb.upstream.server cimport Server

cdef list[bytes] _FLAGS
cdef list[bool] _SERVER_SIDE
cdef list[bytes] _WORDS
cdef list[int] _BOUNDS
cdef int _BOUND_COUNT
cdef int OUTCOMES
cdef int LISTENER_REQUESTS
cdef int ROUTE_IN_FLIGHT
cdef int ROUTE_CLASS
cdef int ROUTE_BYTES_IN
cdef int ROUTE_BYTES_OUT
cdef int ROUTE_RETRIES
cdef int ROUTE_DURATION_SUM
cdef int ROUTE_DURATION
cdef int ROUTE_BUDGET_REFUSED
cdef int ROUTE_HEDGES
cdef int ROUTE_SHED
cdef int SERVER_IN_FLIGHT
cdef int SERVER_CLASS
cdef int SERVER_BYTES_IN
cdef int SERVER_BYTES_OUT
cdef int SERVER_FAILURES
cdef int SERVER_CONNECT_FAILURES
cdef int SERVER_REUSED
cdef int SERVER_DURATION_SUM
cdef int SERVER_DURATION
cdef int DONE
cdef int CONNECT_FAILED
cdef int CONNECT_TIMEOUT
cdef int ROUTE_PANIC
cdef int ROUTE_STICKY
cdef int ROUTE_STICKY_LOST
cdef int PANIC
cdef int STICKY
cdef int STICKY_LOST

cdef int _bucket(long long us)
cdef object _note_pick(ExchangeState exchange, int outcome)
cpdef object open_exchange(ExchangeState exchange)
cpdef object enter_route(ExchangeState exchange)
cpdef object record_pick(ExchangeState exchange)
cpdef object open_attempt(ExchangeState exchange)
cpdef object close_attempt(ExchangeState exchange, int outcome)
cpdef object record_over_budget(ExchangeState exchange)
cpdef object record_shed(ExchangeState exchange)
cpdef object record_hedge(ExchangeState exchange)
cpdef object record_refusal(Core core, ListenerRules rules, str address, int outcome, int status)
cpdef object close_exchange(ExchangeState exchange)
