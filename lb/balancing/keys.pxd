from lb.fields cimport cookie, query
from lb.message cimport Client, RequestHead

cdef int CLIENT_IP, HOST, PATH, URI, HEADER, COOKIE, QUERY

cdef class KeySource:
    cdef readonly str spec
    cdef int kind
    cdef bytes name
    cpdef bytes of(self, RequestHead head, Client client)
