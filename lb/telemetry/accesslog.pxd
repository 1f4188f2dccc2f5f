from lb.telemetry.linebuffer cimport LineBuffer
from lb.telemetry.record cimport ExchangeRecord

cdef int TEXT
cdef int NUMBER
cdef int SECONDS
cdef int TIME
cdef int FLAG
cdef int SHARE
cdef list[bytes] REASONS
cdef list[bytes] PROTOCOLS

cdef class Piece:
    cdef bytes before
    cdef bytes after
    cdef int kind
    cdef int code
    cdef bytes name

cdef class LineFormat(LineBuffer):
    cdef list[Piece] pieces
    cdef bytes tail
    cdef public frozenset hidden
    cdef double share
    cdef bytes share_text
    cdef double slow
    cdef unsigned long long draw
    cdef bint sampled
    cpdef bint keeps(self, bint failed, double duration) noexcept
    cpdef bytes line(self, ExchangeRecord e)
    cdef bytes _text(self, Piece piece, ExchangeRecord e)
    cdef long long _integer(self, Piece piece, ExchangeRecord e) noexcept
    cdef double _interval(self, Piece piece, ExchangeRecord e) noexcept
    cdef int _nothing(self, Piece piece) except -1
    cdef int _attempts(self, Piece piece, ExchangeRecord e) except -1
    cdef int _attempts_json(self, Piece piece, ExchangeRecord e) except -1
