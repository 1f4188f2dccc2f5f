cdef class Writer:
    cdef public object transport
    cdef int fd
    cdef bint queued
    cdef public bint broken
    cpdef object write(self, bytes data)
    cpdef object write_both(self, bytes first, bytes second)
    cpdef bint pending(self)

cdef Py_ssize_t _send(int fd, bytes data)
