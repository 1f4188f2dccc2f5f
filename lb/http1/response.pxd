from lb.message cimport ResponseHead
from lb.http1.fields cimport read_fields
from lb.http1.framing cimport read_framing

cdef bytes _CLASS
cdef int _VALUE
cdef int _DIGIT

cpdef Py_ssize_t read_response(bytes raw, Py_ssize_t at, Py_ssize_t scanned, ResponseHead head,
                               Py_ssize_t most_bytes, int most_fields)
cdef Py_ssize_t _incomplete(bytes raw, Py_ssize_t at, Py_ssize_t scanned, Py_ssize_t most_bytes)
