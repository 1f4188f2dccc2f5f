from lb.proxy.account cimport close_attempt, open_attempt, record_connect, record_over_budget, record_pick, record_queue
from lb.proxy.heads cimport request_head
from lb.proxy.overload cimport another
from lb.proxy.retry cimport free, may_retry, unasked, wait_before
from lb.proxy.sides cimport ServerSide
from lb.proxy.state cimport ExchangeState
from lb.proxy.tracing cimport new_span
from lb.upstream.breaker cimport Breaker
from lb.upstream.server cimport Server

cdef int QUEUED
cdef int CONNECTING
cdef int WAITING
cdef int STREAMING
cdef int TUNNEL
cdef int BACKOFF
cdef int DONE
cdef int INTERNAL
cdef int NO_SERVER
cdef int QUEUE_FULL
cdef int SHED
cdef int RESPONSE_TIMEOUT
cdef int SERVER_BROKE_OFF
cdef int PANIC
cdef int BUDGET
cdef int RETRY_AFTER
cdef int HOLD_SERVER
cdef int HOLD_PENDING
cdef double _TICK
cdef int CLOSED

cdef class Attempts(ExchangeState):
    cpdef object fail(self, int outcome)
    cdef object _attempt(self, bint fresh)
    cdef bint _choose(self)
    cdef object _begin_attempt(self, bint fresh)
    cdef object _occupy(self, Server server, bint fresh)
    cdef object _connect(self)
    cpdef object leave_queue(self)
    cpdef object connected(self, ServerSide side)
    cdef object _send(self, ServerSide side)
    cdef object _await_response(self)
    cdef object _limit(self)
    cpdef object server_failed(self, int outcome, bint reused)
    cdef bint _try_again(self, int outcome, bint reused)
    cdef object _give_up(self, int outcome)
    cdef object _back_off(self, double seconds)
    cpdef object resume(self)
    cdef object _drop_side(self, int outcome)
    cdef object _vacate(self, Server server)
