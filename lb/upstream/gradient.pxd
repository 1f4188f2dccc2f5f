cdef int STEP
cdef double _TOLERANCE
cdef double _SMOOTHING
cdef double _MEMORY

cdef class Gradient:
    cdef double least
    cdef double most
    cdef public double limit
    cdef double long
    cdef public double total
    cdef int count
    cpdef int observe(self, double latency, int in_use)
