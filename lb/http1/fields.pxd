from lb.message cimport Head

cdef bytes _CLASS
cdef bytes _LOWER
cdef bytes _FIRST
cdef list[bytes] _ORDERED
cdef bytes _IDS
cdef int _COUNT
cdef int _TCHAR
cdef int _VALUE

cpdef Py_ssize_t read_fields(bytes raw, Py_ssize_t at, Py_ssize_t end, Head head, int most)
cdef int _known(bytes raw, Py_ssize_t start, Py_ssize_t size)
cpdef bytes value_of(Head head, int mark)
cpdef object joined(Head head, int known)
