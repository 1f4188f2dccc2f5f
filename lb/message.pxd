cdef class Head:
    cdef public bytes raw
    cdef public Py_ssize_t start
    cdef public Py_ssize_t lines
    cdef public Py_ssize_t end
    cdef public int minor
    cdef public bint keep_alive
    cdef public bint chunked
    cdef public long long content_length
    cdef public int lengths
    cdef public bytes upgrade
    cdef public object nominated
    cdef public unsigned long long seen
    cdef public int marked
    cdef int marks[256]
    cpdef bytes header(self, bytes name)

cdef class RequestHead(Head):
    cdef public bytes method
    cdef public bytes target
    cdef public bytes path
    cdef public object query
    cdef public bytes authority
    cdef public bytes host
    cdef public bint expect_continue
    cdef public bint absolute
    cdef public bint plain

cdef class ResponseHead(Head):
    cdef public int status
    cdef public bytes reason

cdef class Client:
    cdef public str address
    cdef public str listener
    cdef object _number
