from lb.http1.serialize cimport chunk, last_chunk
from lb.message cimport ResponseHead
from lb.proxy.core cimport Core
from lb.proxy.exchange cimport Exchange
from lb.proxy.heads cimport response_head
from lb.proxy.sides cimport ClientSide
from lb.proxy.writer cimport Writer

cdef int CLOSED
cdef int DATE
cdef Py_ssize_t _WORTH_TWO
cdef int BYTES_OUT

cdef class ResponseWriter(ClientSide):
    cdef public Core core
    cdef public object transport
    cdef public Writer out
    cdef public Exchange exchange
    cdef public int state
    cdef public int holds
    cdef public bint write_paused
    cdef public bint keep
    cdef public bint out_chunked
    cdef public bint out_until_close
    cdef public bint no_body
    cdef object _write(self, bytes data)
    cdef object let_all_go(self)
