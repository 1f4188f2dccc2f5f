from lb.balancing.consistent_hash cimport ConsistentHash
from lb.balancing.contract cimport Member
from lb.balancing.hashing cimport hash_bytes, mix64

cdef unsigned long long STEP, MASK

cdef class Ketama(ConsistentHash):
    cdef list[Member] owners
    cdef double[::1] places
