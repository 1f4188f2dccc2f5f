from lb.proxy.rules cimport RouteRules
from lb.proxy.state cimport ExchangeState

cdef int CONNECTING
cdef int WAITING
cdef int DONE
cdef int RESPONSE_TIMEOUT
cdef int STICKY
cdef int _IF_SAFE
cdef int _ALWAYS
cdef list[int] _CLASSES
cdef list[bool] _OWN
cdef list[bool] _FREE

cpdef bint may_retry(ExchangeState exchange, int outcome, bint reused)
cpdef bint unasked(int outcome)
cpdef bint free(int outcome)
cpdef double wait_before(ExchangeState exchange, int outcome)
cpdef bint may_hedge(ExchangeState exchange)
