from lb.message cimport Client, RequestHead
from lb.routing.places cimport Place
from lb.routing.predicates cimport OnPathRegex
from lb.routing.route cimport Route

cdef class Table:
    cdef public list[Route] routes
    cdef public dict[bytes, Place] hosts
    cdef public dict[bytes, Place] wildcards
    cdef public Py_ssize_t longest
    cdef public Place anywhere
    cpdef Py_ssize_t match(self, RequestHead head, Client client)
