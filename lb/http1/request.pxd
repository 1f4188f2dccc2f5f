from lb.message cimport RequestHead
from lb.http1.fields cimport joined, read_fields, value_of
from lb.http1.framing cimport read_framing
from lb.http1.target cimport read_authority, read_target

cdef bytes _CLASS
cdef int MORE
cdef int BAD_REQUEST
cdef int HEAD_TOO_LARGE
cdef int TARGET_TOO_LONG
cdef int METHOD_NOT_ALLOWED
cdef int NOT_IMPLEMENTED
cdef int VERSION_NOT_SUPPORTED
cdef int EXPECTATION_FAILED
cdef int HOST
cdef int EXPECT
cdef int _TCHAR
cdef int _TARGET
cdef int _DIGIT
cdef Py_ssize_t _MOST_METHOD

cpdef Py_ssize_t read_request(bytes raw, Py_ssize_t at, Py_ssize_t scanned, RequestHead head,
                              Py_ssize_t most_bytes, int most_fields)
cdef int _version(bytes raw, Py_ssize_t at)
cdef int _read_host(RequestHead head)
cdef Py_ssize_t _incomplete(bytes raw, Py_ssize_t at, Py_ssize_t scanned, Py_ssize_t most_bytes)
