from lb.balancing.contract cimport Member
from lb.balancing.load cimport load
from lb.balancing.sampling cimport SampledBalancer, Sampler

cdef int FEWER_OF_TWO, ONLY_ONE, ALL_TRIED

cdef class PowerOfTwo(SampledBalancer):
    pass
