from lb.balancing.contract cimport Balancer, Member

cdef int TURN, ONLY_ONE, ALL_TRIED

cdef class Due:
    cdef Member member
    cdef double deadline
    cdef double period

cdef class DeadlineRoundRobin(Balancer):
    cdef list[Due] heap
    cpdef object postpone(self, Py_ssize_t at)
