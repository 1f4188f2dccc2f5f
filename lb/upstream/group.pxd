from lb.balancing.contract cimport Balancer
from lb.upstream.server cimport Server

cdef int NONE
cdef int ONLY_ONE

cdef class Group:
    cdef public list[Server] servers
    cdef public Balancer balancer
    cdef public int priority
    cdef public bint backup
    cdef public list[Server] able
    cdef public list[Server] usable
    cdef public list[Server] eligible
    cdef public list[float] weights
    cdef public bint panic
    cdef public double share
    cdef public double next_step
    cdef public bint thin
    cdef public int reason
    cdef public int picked
    cdef public object rng
    cpdef Server pick(self, bytes key, object tried)
    cdef Server _thinned(self, Server first, bytes key, object tried)
