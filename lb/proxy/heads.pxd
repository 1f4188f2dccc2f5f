from lb.http1.hopbyhop cimport append_lines
from lb.message cimport RequestHead, ResponseHead
from lb.proxy.core cimport Core
from lb.proxy.rules cimport ListenerRules, RouteRules
from lb.proxy.sides cimport ClientSide
from lb.proxy.tracing cimport Trace
from lb.routing.edits cimport HeaderEdits
from lb.routing.rewrites cimport Rewrite
from lb.upstream.server cimport Server

cdef int HOST
cdef int CONTENT_LENGTH
cdef int X_REQUEST_ID
cdef int DATE
cdef unsigned long long _HOP_BY_HOP

cpdef bytes request_head(Core core, RequestHead head, RouteRules rules, ClientSide side, Server server, bytes request_id, Trace trace, bytes span)
cdef bint _edited(RouteRules rules, bytes name)
cpdef bytes response_head(Core core, ResponseHead head, RouteRules rules, bytes ours, bint length)
cpdef bytes edited_lines(bytes lines, HeaderEdits edits, Core core)
