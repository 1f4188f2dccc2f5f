from lb.balancing.contract cimport Member
from lb.balancing.latency cimport PeakEwma
from lb.telemetry.cells cimport Cells
from lb.upstream.breaker cimport Breaker
from lb.upstream.gradient cimport Gradient
from lb.upstream.pool cimport Pool

cdef int IN_FLIGHT
cdef int BUSY
cdef int QUEUED
cdef int LIMIT
cdef int BREAKER

cdef class Server(Member):
    cdef public str address
    cdef public str service
    cdef public bytes name
    cdef public bytes host
    cdef public bint backup
    cdef public double configured
    cdef public bint usable
    cdef public bint draining
    cdef public double factor
    cdef public double warm_from
    cdef public double warmth
    cdef public str why
    cdef public int run
    cdef public int suspect_after
    cdef public Py_ssize_t slot
    cdef public Cells cells
    cdef public Pool pool
    cdef public PeakEwma latency
    cdef public int busy
    cdef public int most
    cdef public int share
    cdef public Breaker breaker
    cdef public Gradient gradient
    cdef public int queue
    cdef public double queue_timeout
    cdef public dict[object, object] waiting
    cpdef object adapt(self, double latency)
    cdef object _limit(self, int limit)
    cpdef bint full(self)
    cpdef object occupy(self)
    cpdef object vacate(self)
    cpdef object admit(self)
    cpdef bint enter(self, object exchange)
    cpdef object leave(self, object exchange)
