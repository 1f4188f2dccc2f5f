from lb.proxy.core cimport Core
from lb.proxy.overload cimport learn_failure
from lb.proxy.rules cimport ListenerRules
from lb.proxy.state cimport ExchangeState
from lb.telemetry.buckets cimport cell_of
from lb.telemetry.cells cimport Cells
from lb.telemetry.record cimport ExchangeRecord
from lb.upstream.server cimport Server

cdef list[bytes] _FLAGS
cdef list[bool] _SERVER_SIDE
cdef list[bytes] _WORDS
cdef int OUTCOMES
cdef int LISTENER_REQUESTS
cdef int ROUTE_IN_FLIGHT
cdef int ROUTE_CLASS
cdef int ROUTE_BYTES_IN
cdef int ROUTE_BYTES_OUT
cdef int ROUTE_RETRIES
cdef int ROUTE_DURATION_SUM
cdef int ROUTE_DURATION_CELLS
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
cdef int SERVER_DURATION_CELLS
cdef int SERVER_CONNECT_SUM
cdef int SERVER_CONNECT_CELLS
cdef int SERVER_QUEUE_SUM
cdef int SERVER_QUEUE_CELLS
cdef int DONE
cdef int CONNECT_FAILED
cdef int CONNECT_TIMEOUT
cdef int ROUTE_PANIC
cdef int ROUTE_STICKY
cdef int ROUTE_STICKY_LOST
cdef int PANIC
cdef int STICKY
cdef int STICKY_LOST

cdef object _note_pick(ExchangeState exchange)
cpdef object open_exchange(ExchangeState exchange)
cpdef object enter_route(ExchangeState exchange)
cpdef object record_pick(ExchangeState exchange)
cpdef object open_attempt(ExchangeState exchange)
cpdef object record_queue(ExchangeState exchange)
cpdef object record_connect(ExchangeState exchange)
cpdef object close_attempt(ExchangeState exchange, int outcome)
cpdef object record_over_budget(ExchangeState exchange)
cpdef object record_shed(ExchangeState exchange)
cpdef object record_hedge(ExchangeState exchange)
cpdef object record_refusal(Core core, ListenerRules rules, str address, int outcome, int status)
cpdef object close_exchange(ExchangeState exchange)
