from lb.message cimport Client, RequestHead
from lb.routing.octets cimport quoted, single_slash
from lb.routing.template cimport Template, Variables

cdef class Redirect:
    cdef public int status
    cdef Template _template
    cdef Variables _variables
    cdef bint _local
    cdef bint _asks
    cpdef bytes location(self, RequestHead head, bytes scheme)
