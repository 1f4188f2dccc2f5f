cdef class Respond:
    cdef public int status
    cdef public bytes headers
    cdef public bytes body
