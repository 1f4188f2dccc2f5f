from lb.fields cimport cookie, query
from lb.message cimport Client, RequestHead
from lb.routing.predicates cimport Predicate

cdef class OnValue(Predicate):
    cdef bytes key
    cdef readonly frozenset[bytes] exact
    cdef object regex
    cdef int presence
    cpdef object value(self, RequestHead head)

cdef class OnHeader(OnValue):
    pass

cdef class OnQuery(OnValue):
    pass

cdef class OnCookie(OnValue):
    pass
