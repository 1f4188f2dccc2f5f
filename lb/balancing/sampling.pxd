from lb.balancing.contract cimport Balancer, Member

cpdef list[Member] untried(list[Member] members, object tried)

cdef class Sampler:
    cdef readonly list[Member] members
    cdef readonly Py_ssize_t size
    cdef bint even
    cdef readonly double total
    cdef double[::1] bounds
    cdef object draw
    cpdef object fill(self, list[Member] members)
    cpdef Py_ssize_t one(self)
    cpdef Py_ssize_t other(self, Py_ssize_t first)
    cpdef Py_ssize_t find(self, double x)

cdef class SampledBalancer(Balancer):
    cdef Sampler sampler
    cpdef Sampler left(self, object tried)
