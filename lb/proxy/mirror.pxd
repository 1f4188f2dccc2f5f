from lb.message cimport ResponseHead
from lb.proxy.comparison cimport Answer
from lb.proxy.rules cimport MirrorRules
from lb.proxy.sides cimport ClientSide
from lb.proxy.state cimport ExchangeState

cdef int DONE
cdef int IN_FLIGHT
cdef int SKIPPED

cpdef object choose(ExchangeState exchange)

cdef class Mirror(ClientSide):
    cdef public ClientSide real
    cdef public ExchangeState exchange
    cdef public MirrorRules how
    cdef public list[bytes] body
    cdef public long long size
    cdef public bytes trailers
    cdef public Answer answer
    cpdef object keep(self, bytes piece, bytes trailers)
    cpdef object skip(self)
