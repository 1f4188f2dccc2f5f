from lb.http1.serialize cimport chunk, last_chunk
from lb.proxy.account cimport close_attempt, close_exchange, enter_route, open_exchange, record_shed
from lb.proxy.attempts cimport Attempts
from lb.proxy.core cimport Core
from lb.proxy.heads cimport edited_lines
from lb.proxy.mirror cimport choose
from lb.proxy.overload cimport learn_answer, retry_after
from lb.proxy.retry cimport may_hedge
from lb.proxy.rules cimport RouteRules
from lb.proxy.sides cimport ClientSide, ServerSide
from lb.routing.redirect cimport Redirect
from lb.routing.respond cimport Respond
from lb.upstream.server cimport Server

cdef int NEW
cdef int QUEUED
cdef int CONNECTING
cdef int WAITING
cdef int STREAMING
cdef int TUNNEL
cdef int OVER
cdef int BACKOFF
cdef int DONE
cdef int BODY_TOO_LARGE
cdef int BODY_TIMEOUT
cdef int CLIENT_GONE
cdef int CLIENT_STALLED
cdef int NO_ROUTE
cdef int QUEUE_TIMEOUT
cdef int SHED
cdef int TOTAL_TIMEOUT
cdef int CONNECT_TIMEOUT
cdef int RESPONSE_TIMEOUT
cdef int IDLE_TIMEOUT
cdef int HOLD_SERVER
cdef int HOLD_PENDING
cdef int X_LB_DEBUG
cdef int TRACE
cdef int SAMPLED
cdef double _TICK

cdef class Exchange(Attempts):
    cpdef object begin(self, ClientSide client, bytes piece, bint last)
    cpdef object take_body(self, bytes piece, bint last, bytes trailers)
    cpdef object client_gone(self)
    cpdef object client_ready(self)
    cpdef object client_full(self)
    cpdef object got_interim(self)
    cpdef object got_response(self, bytes piece, bint last, bytes trailers)
    cpdef object got_body(self, bytes piece, bint last, bytes trailers)
    cpdef object got_tunnel(self)
    cpdef object server_ready(self)
    cpdef object server_full(self)
    cpdef object tunnel_from_client(self, bytes data, bint ended)
    cpdef object tunnel_from_server(self, bytes data, bint ended)
    cdef object _respond_self(self)
    cdef object _complete(self)
    cdef object _over(self)
    cpdef object check(self, double now)
