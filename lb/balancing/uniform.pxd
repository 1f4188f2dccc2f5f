from lb.balancing.contract cimport Balancer, Member
from lb.balancing.sampling cimport untried

cdef int RANDOM, ONLY_ONE, ALL_TRIED

cdef class UniformRandom(Balancer):
    cdef object draw
