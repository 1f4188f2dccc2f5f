from lb.balancing.contract cimport Balancer, Member
from lb.balancing.load cimport load

cdef int FEWEST_IN_FLIGHT, ONLY_ONE, ALL_TRIED

cdef class LeastConnections(Balancer):
    cdef Py_ssize_t start
    cdef double floor
