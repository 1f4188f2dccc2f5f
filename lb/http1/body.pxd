from lb.message cimport Head
from lb.http1.fields cimport read_fields

cdef bytes _CLASS
cdef int _SIZE
cdef int _DATA
cdef int _DATA_CR
cdef int _DATA_LF
cdef int _TRAILERS
cdef int _TCHAR
cdef int _VALUE
cdef int _HEX
cdef int _MOST_SIZE_DIGITS
cdef Py_ssize_t _MOST_LINE
cdef Py_ssize_t _MOST_EXTENSIONS
cdef Py_ssize_t _MOST_TRAILERS
cdef int _MOST_TRAILER_LINES

cdef class BodyReader:
    cdef public int kind
    cdef public bint done
    cdef public bytes piece
    cdef public bytes trailers
    cdef public long long left
    cdef public long long total
    cdef int state
    cdef bytes kept
    cdef Py_ssize_t extensions
    cpdef object begin(self, int kind, long long length)
    cpdef Py_ssize_t read(self, bytes data, Py_ssize_t at)
    cpdef bytes let_go(self)
    cdef Py_ssize_t _read_chunked(self, bytes data, Py_ssize_t at)
    cdef Py_ssize_t _read_size(self, bytes data, Py_ssize_t at)
    cdef Py_ssize_t _read_trailers(self, bytes data, Py_ssize_t at)

cdef long long _size_of(bytes line)
cdef bint _extensions_valid(bytes line, Py_ssize_t at, Py_ssize_t end)
cdef Py_ssize_t _skip_space(bytes line, Py_ssize_t i, Py_ssize_t end)
cdef bint _may_be_size(bytes part)
cdef bint _bare_lf(bytes part)
