from lb.balancing.consistent_hash cimport ConsistentHash
from lb.balancing.contract cimport Member
from lb.balancing.hashing cimport hash_bytes, mix64

cdef Py_ssize_t SLOTS

cdef class Row:
    cdef int index
    cdef Py_ssize_t place
    cdef Py_ssize_t skip
    cdef double share
    cdef double due

cdef class Maglev(ConsistentHash):
    cdef int[::1] table
