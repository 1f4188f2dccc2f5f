cimport cython

from lb.balancing.consistent_hash cimport ConsistentHash
from lb.balancing.contract cimport Member
from lb.balancing.hashing cimport hash_bytes, mix64

cdef Py_ssize_t SLOTS

cdef class Maglev(ConsistentHash):
    cdef int[::1] table
    @cython.locals(table=int[::1], index=int[::1], place=cython.longlong[::1], skip=cython.longlong[::1], shares=double[::1], due=double[::1])
    cpdef object rebuild(self, list[Member] members)
