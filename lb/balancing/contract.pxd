cdef int ALGORITHM

cdef class Member:
    cdef public str identity
    cdef public double weight
    cpdef long long in_flight(self)
    cpdef double cost(self, double now)

cdef class Balancer:
    cdef public list[Member] members
    cdef public int reason
    cdef public object rng
    cdef public object clock
    cpdef object rebuild(self, list[Member] members)
    cpdef object pick(self, bytes key, object tried)
