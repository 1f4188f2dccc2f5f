from lb.message cimport Head, RequestHead

cdef int COOKIE

cdef int _hex(int c)
cdef int _escaped(bytes text, Py_ssize_t at, Py_ssize_t end)
cdef bint _is(bytes text, Py_ssize_t at, Py_ssize_t end, bytes name)
cdef bytes _cookie_in(bytes text, Py_ssize_t at, Py_ssize_t size, bytes name)
cpdef bytes decoded(bytes text)
cpdef bytes query(RequestHead head, bytes name)
cpdef bytes cookie(Head head, bytes name)
