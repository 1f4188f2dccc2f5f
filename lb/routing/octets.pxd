cpdef bytes quoted(bytes text, bint fragment)
cpdef bytes cleaned(bytes value)
cpdef bytes single_slash(bytes path)
