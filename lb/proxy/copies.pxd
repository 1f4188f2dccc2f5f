from lb.http1.serialize cimport chunk, last_chunk
from lb.message cimport ResponseHead
from lb.proxy.comparison cimport Answer
from lb.proxy.core cimport Core
from lb.proxy.exchange cimport Exchange
from lb.proxy.mirror cimport Mirror
from lb.proxy.sides cimport ClientSide
from lb.proxy.state cimport ExchangeState

cdef int OVER
cdef int DONE
cdef double _TICK

cdef class Copy(Exchange):
    cdef public object copies
    cdef public Mirror original
    cdef public Answer answer
    cpdef object begin_for(self, Mirror mirror)

cdef class Absent(ClientSide):
    cdef public Answer answer
