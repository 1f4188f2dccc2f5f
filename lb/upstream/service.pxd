from lb.balancing.keys cimport KeySource
from lb.message cimport Client, RequestHead
from lb.upstream.breaker cimport Breaker
from lb.upstream.group cimport Group
from lb.upstream.server cimport Server
from lb.upstream.sticky cimport Sticky

cdef int NONE
cdef int BACKUP
cdef int ALL_TRIED
cdef int NOT_ELIGIBLE
cdef int SPILL
cdef int PANIC
cdef int STICKY
cdef int STICKY_LOST

cdef class Service:
    cdef public str name
    cdef public bytes label
    cdef public list[Server] servers
    cdef public list[Group] groups
    cdef public KeySource key
    cdef public Sticky sticky
    cdef public list[Server] eligible
    cdef public Group group
    cdef public bint spill
    cdef public double panic_threshold
    cdef public double slow_start
    cdef public double next_step
    cdef public int reason
    cdef public Breaker breaker
    cdef public object rng
    cdef public object clock
    cpdef bytes key_of(self, RequestHead head, Client client)
    cpdef Server select(self, bytes key, object tried, bytes token=*)
    cdef Group _drawn(self)
    cdef Server _last_resort(self, Group asked, bytes key, object tried)
