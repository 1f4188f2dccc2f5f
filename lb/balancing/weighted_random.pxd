from lb.balancing.contract cimport Member
from lb.balancing.sampling cimport SampledBalancer, Sampler

cdef int RANDOM, ONLY_ONE, ALL_TRIED

cdef class WeightedRandom(SampledBalancer):
    pass
