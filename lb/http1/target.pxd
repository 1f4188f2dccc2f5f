from lb.message cimport RequestHead

cdef bytes _CLASS
cdef dict[bytes, bytes] _known
cdef int _PATH
cdef int _QUERY
cdef int _ODD

cpdef int read_authority(RequestHead head, bytes value)
cpdef int read_target(RequestHead head, Py_ssize_t at, Py_ssize_t end)
cdef Py_ssize_t _absolute(RequestHead head, Py_ssize_t at, Py_ssize_t end)
cdef int _empty_path(RequestHead head, bytes query)
cdef int _normalise(RequestHead head)
