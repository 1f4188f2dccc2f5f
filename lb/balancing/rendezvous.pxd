from lb.balancing.consistent_hash cimport ConsistentHash
from lb.balancing.contract cimport Member

cdef class Rendezvous(ConsistentHash):
    pass
