from lb.telemetry.cells cimport Cells

cdef unsigned long long _MASK
cdef unsigned long long _FACTOR

cdef class Stirred:
    cdef Cells cells
    cdef long long[::1] slots
    cdef unsigned long long[::1] marks
    cdef Py_ssize_t count
    cdef unsigned long long _mark(self, Py_ssize_t slot) noexcept
