from lb.message cimport Head
from lb.http1.fields cimport joined, value_of

cdef bytes _CLASS
cdef int CONNECTION
cdef int TRANSFER_ENCODING
cdef int UPGRADE
cdef int CONTENT_LENGTH
cdef int _DIGIT
cdef int _MOST_DIGITS
cdef unsigned long long FRAMING

cpdef long long length_of(bytes value)
cpdef int read_framing(Head head)
cdef object _read_connection(Head head, bytes value)
