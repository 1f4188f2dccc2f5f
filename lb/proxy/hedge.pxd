from lb.message cimport RequestHead
from lb.proxy.account cimport record_hedge, record_over_budget
from lb.proxy.core cimport Core
from lb.proxy.exchange cimport Exchange
from lb.proxy.overload cimport learn_answer

cdef int OVER
cdef int DONE
cdef int HEDGE
cdef int CANCELLED

cpdef object hedge(Exchange exchange)

cdef class Hedge(Exchange):
    cdef public Exchange first
    cdef RequestHead own_head
    cpdef object begin_beside(self, Exchange first)
    cpdef object cancel(self)
    cpdef object take_over(self)
    cdef object _release(self)
