from lb.http1.body cimport BodyReader
from lb.http1.response cimport read_response
from lb.proxy.core cimport Core
from lb.proxy.exchange cimport Exchange
from lb.proxy.sides cimport ServerSide
from lb.proxy.writer cimport Writer
from lb.upstream.pool cimport Pool
from lb.upstream.server cimport Server

cdef int OPENING
cdef int READY
cdef int HEAD
cdef int BODY
cdef int TUNNEL
cdef int CLOSED
cdef int _NONE
cdef int _LENGTH
cdef int _CHUNKED
cdef int _CLOSE
cdef int _IDLE
cdef int _BUSY
cdef int CONNECT_FAILED
cdef int SERVER_RESET
cdef int SEND_FAILED
cdef int SERVER_BAD_RESPONSE
cdef int SERVER_BROKE_OFF
cdef Py_ssize_t _MOST_HEAD
cdef int _MOST_FIELDS
cdef int _MOST_INTERIM

cdef class ServerConnection(ServerSide):
    cdef public Core core
    cdef public object transport
    cdef public Writer out
    cdef public object task
    cdef public BodyReader reader
    cdef public int phase
    cdef public bytes buf
    cdef public int interim
    cdef public bint no_body
    cdef public bint held
    cdef public bint unsent
    cdef object _read_head(self, Exchange exchange, bytes data)
    cdef object _read_body(self, Exchange exchange, bytes data)
    cdef bint _clean(self, Exchange exchange, bint exact)
    cdef object _switch(self, Exchange exchange, bytes data, Py_ssize_t end)
