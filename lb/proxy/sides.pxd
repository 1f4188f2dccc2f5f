from lb.message cimport Client, ResponseHead
from lb.proxy.rules cimport ListenerRules
from lb.upstream.pool cimport Connection

cdef class ClientSide:
    cdef public Client client
    cdef public ListenerRules rules
    cdef public bytes scheme
    cdef public bint trusted
    cdef public bytes own_lines
    cpdef object respond(self, ResponseHead head, bytes piece, bint last)
    cpdef object respond_interim(self, ResponseHead head)
    cpdef object respond_self(self, int status, bytes lines, bytes body, bint close)
    cpdef object send(self, bytes piece, bint last, bytes trailers)
    cpdef object open_tunnel(self, ResponseHead head)
    cpdef object send_raw(self, bytes data, bint ended)
    cpdef object break_off(self)
    cpdef object hold(self, int why)
    cpdef object let_go(self, int why)
    cpdef bint held(self)
    cpdef bint blocked(self)
    cpdef object done(self)

cdef class ServerSide(Connection):
    cdef public object exchange
    cdef public bint reusable
    cpdef object start(self, object exchange, bytes out, bint no_body)
    cpdef object send(self, bytes data)
    cpdef object end_tunnel(self)
    cpdef object hold(self)
    cpdef object let_go(self)
