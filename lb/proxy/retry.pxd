from lb.proxy.state cimport ExchangeState

cdef int DONE
cdef int QUEUE_FULL
cdef int CONNECT_FAILED
cdef int CONNECT_TIMEOUT
cdef int SERVER_RESET
cdef int SEND_FAILED

cpdef bint may_retry(ExchangeState exchange, int outcome, bint reused)
