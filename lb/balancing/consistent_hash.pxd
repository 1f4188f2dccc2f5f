from lb.balancing.contract cimport Member
from lb.balancing.hashing cimport hash_bytes, mix64
from lb.balancing.sampling cimport SampledBalancer, Sampler

cdef int HASH, HASH_BOUNDED, NO_KEY, ONLY_ONE, ALL_TRIED
cdef double UNIT, ROUNDING

cdef class ConsistentHash(SampledBalancer):
    cdef bint even
    cdef double bound
    cdef unsigned long long[::1] seeds
    cpdef Member owner(self, unsigned long long h)
    cpdef Member ranked(self, unsigned long long h, object tried, double limit)
    cpdef Member keyless(self, object tried)
