cdef double TAU, MEMORY, PENALTY, PENALTY_AT_MOST

cdef class PeakEwma:
    cdef public double cost
    cdef public double stamp
    cpdef object observe(self, double seconds, bint ok, double now, double retry_after=*)
    cpdef double value(self, double now)
