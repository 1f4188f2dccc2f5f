from lb.message cimport Client, RequestHead
from lb.routing.predicates cimport Predicate

cdef class Candidate:
    cdef public long long rank
    cdef public list[Predicate] checks

cpdef long long first(list[Candidate] candidates, RequestHead head, Client client, long long best)

cdef class Segment:
    cdef public Segment above
    cdef public dict[bytes, Segment] below
    cdef public Py_ssize_t longest
    cdef public list[Candidate] candidates
    cpdef Segment deepest(self, bytes path)

cdef class Place:
    cdef public long long best
    cdef public dict[bytes, list[Candidate]] exact
    cdef public Segment prefixes
    cdef public list[Candidate] regexes
    cdef public list[Candidate] rest
    cpdef long long search(self, RequestHead head, Client client, long long best)
