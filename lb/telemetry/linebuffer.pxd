from libc.string cimport memcpy

cdef const unsigned char *SAFE

cdef class LineBuffer:
    cdef bint is_json
    cdef bytearray store
    cdef unsigned char *to
    cdef Py_ssize_t at
    cdef Py_ssize_t room
    cdef long long second
    cdef bytes iso
    cdef bytes clf
    cdef int _grow(self, Py_ssize_t n) except -1
    cdef bytes _finished(self)
    cdef int _raw(self, bytes text) except -1
    cdef int _quoted(self, bytes before, bytes value, bytes after) except -1
    cdef int _number(self, long long n) except -1
    cdef int _seconds(self, double seconds) except -1
    cdef int _time(self, double when, bint common) except -1
    cdef int _new_second(self, long long second) except -1
