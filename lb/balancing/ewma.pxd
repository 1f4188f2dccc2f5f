from lb.balancing.contract cimport Member
from lb.balancing.load cimport load
from lb.balancing.sampling cimport SampledBalancer, Sampler

cdef int LOWEST_COST, ONLY_ONE, ALL_TRIED
cdef double UNKNOWN_AT_MOST

cdef class Ewma(SampledBalancer):
    pass
