from lb.http1.body cimport BodyReader
from lb.http1.request cimport read_request
from lb.message cimport Client, ResponseHead
from lb.proxy.account cimport record_refusal
from lb.proxy.core cimport Core
from lb.proxy.exchange cimport Exchange
from lb.proxy.heads cimport response_head
from lb.proxy.responses cimport ResponseWriter
from lb.proxy.rules cimport ListenerRules

cdef int HEAD
cdef int BODY
cdef int BUSY
cdef int TUNNEL
cdef int LINGER
cdef int CLOSED
cdef int _LENGTH
cdef int _CHUNKED
cdef int BAD_BODY
cdef int HEAD_TIMEOUT
cdef int TOO_MANY_CONNECTIONS
cdef int HOLD_PIPELINE
cdef int HOLD_AGED
cdef double _TICK
cdef Py_ssize_t _MOST_PIPELINED
cdef double _LINGER
cdef double _LINGER_IN_ALL
cdef double _LAST_REQUEST
cdef double _FLUSH
cdef int CONNECTIONS
cdef int ACCEPTED
cdef int REJECTED
cdef int BYTES_IN
cdef int TUNNELS

cdef class ClientConnection(ResponseWriter):
    cdef public set[ClientConnection] clients
    cdef public BodyReader reader
    cdef public long long generation
    cdef public bytes buf
    cdef public Py_ssize_t scanned
    cdef public double deadline
    cdef public double old_at
    cdef public bint looping
    cdef public double linger_end
    cdef object _follow(self)
    cdef object _read_head(self, bytes data)
    cdef Py_ssize_t _begin(self, Exchange exchange, bytes data, Py_ssize_t at)
    cdef object _read_body(self, bytes data)
    cpdef object refuse(self, int outcome)
    cdef object _next(self)
    cdef object _close(self)
    cdef object _linger(self)
    cpdef object check(self, double now)
    cpdef object drain(self)
