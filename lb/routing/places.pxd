from lb.message cimport Client, RequestHead
from lb.routing.candidates cimport Candidates
from lb.routing.predicates cimport Predicate

cdef class Segment:
    cdef public Segment above
    cdef public dict[bytes, Segment] below
    cdef public Py_ssize_t longest
    cdef public Candidates candidates
    cpdef Segment deepest(self, bytes path)

cdef class Place:
    cdef public long long best
    cdef public dict[bytes, Candidates] exact
    cdef public Segment prefixes
    cdef public Candidates regexes
    cdef public Candidates rest
    cpdef long long search(self, RequestHead head, Client client, long long best)
