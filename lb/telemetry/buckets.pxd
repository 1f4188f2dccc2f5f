cdef list[int] _BOUNDS
cdef int _TOP
cdef bytes _FROM

cpdef int cell_of(long long us) noexcept
