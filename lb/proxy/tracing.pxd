from lb.http1.fields cimport value_of
from lb.message cimport RequestHead

cdef int TRACEPARENT
cdef int TRACESTATE
cdef int SAMPLED
cdef int _KNOWN_FLAGS
cdef list[bytes] _ENDS
cdef Py_ssize_t _SIZE

cdef class Trace:
    cdef public bytes id
    cdef public bytes parent
    cdef public bytes span
    cdef public int flags
    cdef public bint recorded
    cdef public unsigned long long drop
    cpdef bytes line(self, bytes attempt)
    cpdef Trace copied(self)

cdef class Tracing:
    cdef public object rng
    cdef public bint accept
    cdef public bint export
    cdef public bint every
    cdef public unsigned long long bound
    cpdef Trace trace(self, RequestHead head)

cpdef bytes new_span(object rng)
cdef bytes _one(RequestHead head)
cpdef bint valid(bytes text) noexcept
