cpdef bytes chunk(bytes piece)
cpdef bytes last_chunk(bytes trailers)
