from lb.balancing.contract cimport Member

cpdef double load(Member member) noexcept
