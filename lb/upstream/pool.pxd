from lb.telemetry.cells cimport Cells

cdef int _IDLE

cdef class Connection:
    cdef public int state
    cdef public Pool pool
    cdef public double born
    cdef public double idle_since
    cdef public long long served
    cdef public Py_ssize_t slot
    cpdef object close(self)

cdef class Pool:
    cdef public str address
    cdef public Cells cells
    cdef public dict[Connection, object] idle
    cdef public int max_idle
    cdef public double idle_timeout
    cdef public double max_age
    cpdef object take(self)
    cpdef bint give(self, Connection connection, Py_ssize_t slot, double now)
    cpdef object drop(self, Connection connection)
