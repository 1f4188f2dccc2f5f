cdef class Writer:
    cdef public object transport
    cdef int fd
    cdef bint queued
    cpdef object write(self, bytes data)
