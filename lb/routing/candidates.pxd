from lb.message cimport Client, RequestHead
from lb.routing.predicates cimport Predicate
from lb.routing.values cimport OnValue

cdef class Candidate:
    cdef public long long rank
    cdef public list[Predicate] checks

cdef long long _first(list[Candidate] candidates, RequestHead head, Client client, long long best)

cdef class Keyed:
    cdef public OnValue of
    cdef public long long best
    cdef public dict[bytes, list[Candidate]] by_value

cdef class Candidates:
    cdef public list[Keyed] keyed
    cdef public list[Candidate] others
    cpdef long long first(self, RequestHead head, Client client, long long best)
