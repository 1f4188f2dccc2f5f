from lb.proxy.account cimport close_attempt, open_attempt, record_pick
from lb.proxy.heads cimport request_head
from lb.proxy.retry cimport may_retry
from lb.proxy.sides cimport ServerSide
from lb.proxy.state cimport ExchangeState
from lb.upstream.server cimport Server

cdef int QUEUED
cdef int CONNECTING
cdef int WAITING
cdef int STREAMING
cdef int TUNNEL
cdef int INTERNAL
cdef int NO_SERVER
cdef int QUEUE_FULL
cdef int SERVER_BROKE_OFF
cdef int PANIC
cdef int HOLD_SERVER
cdef int HOLD_PENDING
cdef Py_ssize_t REPLAY
cdef double _TICK

cdef class Attempts(ExchangeState):
    cpdef object fail(self, int outcome)
    cdef object _attempt(self, bint fresh)
    cdef object _occupy(self, Server server, bint fresh)
    cdef object _connect(self)
    cpdef object leave_queue(self)
    cpdef object connected(self, ServerSide side)
    cdef object _send(self, ServerSide side)
    cdef object _await_response(self)
    cpdef object server_failed(self, int outcome, bint reused)
    cdef object _try_again(self, int outcome, bint fresh)
    cdef object _drop_side(self, int outcome)
    cdef object _vacate(self, Server server)
