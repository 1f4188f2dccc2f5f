from lb.http1.body cimport BodyReader
from lb.http1.request cimport read_request
from lb.http1.serialize cimport chunk, last_chunk
from lb.message cimport Client, ResponseHead
from lb.proxy.core cimport Core
from lb.proxy.exchange cimport Exchange
from lb.proxy.heads cimport response_head
from lb.proxy.rules cimport ListenerRules
from lb.proxy.sides cimport ClientSide

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
cdef int SHUTDOWN
cdef int DATE
cdef int HOLD_PIPELINE
cdef double _TICK
cdef Py_ssize_t _MOST_PIPELINED
cdef double _LINGER
cdef long long _MOST_LINGER
cdef double _FLUSH
cdef int CONNECTIONS
cdef int ACCEPTED
cdef int REJECTED
cdef int BYTES_IN
cdef int BYTES_OUT
cdef int TUNNELS
cdef int OUTCOMES

cdef class ClientConnection(ClientSide):
    cdef public Core core
    cdef public set clients
    cdef public object transport
    cdef public Exchange exchange
    cdef public BodyReader reader
    cdef public int state
    cdef public long long generation
    cdef public bytes buf
    cdef public Py_ssize_t scanned
    cdef public double deadline
    cdef public int holds
    cdef public bint write_paused
    cdef public bint looping
    cdef public long long discarded
    cdef public bint keep
    cdef public bint out_chunked
    cdef public bint out_until_close
    cdef public bint no_body
    cdef object _follow(self)
    cdef object _read_head(self, bytes data)
    cdef Py_ssize_t _begin(self, Exchange exchange, bytes data, Py_ssize_t at)
    cdef object _read_body(self, bytes data)
    cpdef object refuse(self, int outcome)
    cdef object _write(self, bytes data)
    cdef object holds_off(self)
    cdef object _close(self)
    cdef object _linger(self)
    cpdef object check(self, double now)
    cpdef object drain(self)
