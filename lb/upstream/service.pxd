from lb.balancing.contract cimport Balancer
from lb.balancing.keys cimport KeySource
from lb.message cimport Client, RequestHead
from lb.upstream.server cimport Server

cdef int NONE
cdef int ONLY_ONE
cdef int BACKUP
cdef int ALL_TRIED
cdef int NOT_ELIGIBLE

cdef class Service:
    cdef public str name
    cdef public bytes label
    cdef public list[Server] servers
    cdef public list[Server] eligible
    cdef public list[Server] backups
    cdef public Balancer balancer
    cdef public KeySource key
    cdef public bint on_backup
    cdef public int reason
    cpdef bytes key_of(self, RequestHead head, Client client)
    cpdef Server select(self, bytes key, object tried)
    cdef Server _last_resort(self, bytes key, object tried)
