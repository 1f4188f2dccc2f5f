from lb.fields cimport cookie
from lb.message cimport RequestHead
from lb.upstream.server cimport Server

cdef class Sticky:
    cdef public bytes cookie
    cdef public bint always
    cdef public dict[bytes, Server] admitted
    cdef public dict[Server, bytes] tokens
    cdef public dict[Server, bytes] lines
    cpdef bytes token(self, RequestHead head)
    cpdef bytes line(self, Server server, bytes token)
