from lb.proxy.state cimport ExchangeState
from lb.upstream.breaker cimport Breaker
from lb.upstream.server cimport Server

cdef int CLOSED
cdef int SERVER_RESET
cdef int SEND_FAILED
cdef int SERVER_BREAKER
cdef int _PICKS

cpdef Server another(ExchangeState exchange, Server refusing)
cpdef int retry_after(ExchangeState exchange)
cpdef object learn_answer(ExchangeState exchange)
cpdef object learn_failure(ExchangeState exchange, int outcome)
cdef object _observe(ExchangeState exchange, bint ok)
cdef bint _turned(Breaker breaker, bint ok, double now)
