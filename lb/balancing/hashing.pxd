cdef unsigned long long MASK, FNV_START, FNV_PRIME, MIX_ONE, MIX_TWO

cpdef unsigned long long mix64(unsigned long long h) noexcept
cpdef unsigned long long hash_bytes(bytes raw)
