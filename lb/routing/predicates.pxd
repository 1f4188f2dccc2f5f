from lb.message cimport Client, RequestHead

cdef class Predicate:
    cdef public str name
    cdef public str wanted
    cpdef bint holds(self, RequestHead head, Client client)
    cpdef str found(self, RequestHead head, Client client)

cpdef bint under(bytes path, bytes base)

cdef class OnListener(Predicate):
    cdef frozenset[str] listeners

cdef class OnHost(Predicate):
    cdef frozenset[bytes] exact
    cdef list[bytes] suffixes

cdef class OnPath(Predicate):
    cdef frozenset[bytes] paths

cdef class OnPrefix(Predicate):
    cdef list[bytes] bases

cdef class OnPathRegex(Predicate):
    cdef list patterns

cdef class OnMethod(Predicate):
    cdef frozenset[bytes] methods

cdef class OnClient(Predicate):
    cdef dict blocks
