cdef class Cells:
    cdef long long[::1] view
    cdef Py_ssize_t base
    cdef readonly Py_ssize_t size
    cdef readonly int workers
    cdef readonly int worker
    cdef object mapping
    cpdef void add(self, Py_ssize_t at, long long n) noexcept
    cpdef void put(self, Py_ssize_t at, long long n) noexcept
    cpdef long long get(self, Py_ssize_t at)
    cpdef long long total(self, Py_ssize_t at)
    cdef long long _sum(self, Py_ssize_t at, Py_ssize_t count) noexcept
