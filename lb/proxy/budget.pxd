cdef int BUCKETS

cdef class Budget:
    cdef public double share
    cdef public double floor
    cdef public long long requests
    cdef public long long retries
    cdef double turn
    cdef int place
    cdef long long asked[10]
    cdef long long tried[10]
    cdef public bint shown
    cpdef void count(self, double now) noexcept
    cpdef bint spend(self, double now)
    cpdef long long allowed(self, double now) noexcept
    cdef double _most(self) noexcept
    cdef void _advance(self, double now) noexcept
