from lb.routing.octets cimport quoted, single_slash
from lb.routing.predicates cimport under

cdef class Rewrite:
    cdef public bint changes_target
    cdef bytes _strip
    cdef bytes _add
    cdef object _regex
    cdef str _to
    cdef int _host
    cdef bytes _literal
    cpdef bytes target(self, bytes path, object query)
    cpdef bytes authority(self, bytes sent, bytes server)
