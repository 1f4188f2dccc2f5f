from lb.routing.octets cimport cleaned
from lb.routing.template cimport Template, Variables

cdef class HeaderEdits:
    cdef public frozenset[bytes] drops
    cdef public object constant
    cdef list[bytes] _names
    cdef list[Template] _values
    cpdef bytes lines(self, Variables variables)
