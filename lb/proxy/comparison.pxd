from lb.message cimport ResponseHead
from lb.proxy.rules cimport MirrorRules

cdef int STATUS
cdef int HEADER
cdef int BODY

cdef class Answer:
    cdef public MirrorRules how
    cdef public int status
    cdef public list values
    cdef public bytes kind
    cdef public bytes coding
    cdef public list[bytes] pieces
    cdef public long long size
    cdef public bint whole
    cpdef object begin(self, ResponseHead head)
    cpdef object add(self, bytes piece, bint last)
