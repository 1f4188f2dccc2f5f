from lb.balancing.contract cimport Balancer, Member

cdef int TURN, ONLY_ONE, ALL_TRIED

cdef class Turn:
    cdef Member member
    cdef double weight
    cdef double current

cdef class SmoothRoundRobin(Balancer):
    cdef list[Turn] turns
    cpdef Member step(self, object tried)
