cdef int CLOSED
cdef int OPEN
cdef int HALF_OPEN
cdef int TRIALS

cdef class Breaker:
    cdef double failures
    cdef int min_requests
    cdef double half
    cdef double open
    cdef public int state
    cdef double turn
    cdef int requests
    cdef int failed
    cdef int requests_before
    cdef int failed_before
    cdef double until
    cdef bint trying
    cdef int successes
    cpdef bint allows(self, double now)
    cpdef double wait(self, double now)
    cpdef bint observe(self, bint ok, double now)
    cdef bint _open(self, double now)
    cdef object _turn(self, double now)
    cdef object _forget(self)
