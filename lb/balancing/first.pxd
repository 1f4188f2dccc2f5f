from lb.balancing.contract cimport Balancer, Member

cdef int FIRST, ALL_TRIED

cdef class First(Balancer):
    pass
