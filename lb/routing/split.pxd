cdef class Split:
    cdef public tuple services
    cdef list _bounds
    cdef Py_ssize_t _last
    cpdef Py_ssize_t choose(self, double number)
