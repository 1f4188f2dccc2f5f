from lb.message cimport RequestHead

cdef class ExchangeRecord:
    cdef public double time
    cdef public str client
    cdef public bytes listener
    cdef public bytes route
    cdef public bytes service
    cdef public bytes server
    cdef public bytes method
    cdef public bytes target
    cdef public bytes host
    cdef public int minor
    cdef public int status
    cdef public long long bytes_in
    cdef public long long bytes_out
    cdef public double duration
    cdef public double ttfb
    cdef public double connect
    cdef public double queue
    cdef public list[tuple[bytes, int, float, bytes, bytes]] attempts
    cdef public list picks
    cdef public bytes flag
    cdef public int reason
    cdef public bytes request_id
    cdef public bytes trace_id
    cdef public RequestHead head
    cdef public long long generation
    cdef public bint upgraded
    cpdef void clear(self)
