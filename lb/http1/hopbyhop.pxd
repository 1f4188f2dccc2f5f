from lb.message cimport Head

cpdef object append_lines(list[bytes] parts, Head head, Py_ssize_t start, unsigned long long drop, object names)
cdef object _append_unnamed(list[bytes] parts, Head head, Py_ssize_t start, unsigned long long drop, object names)
