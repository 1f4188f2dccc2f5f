from lb.message cimport Client, RequestHead

cdef class Variables:
    cdef public bytes client_ip
    cdef public bytes host
    cdef public bytes path
    cdef public bytes query
    cdef public bytes scheme
    cdef public bytes request_id
    cdef public bytes uri
    cpdef object fill(self, RequestHead head, Client client, bytes scheme, bytes request_id)
    cpdef bytes value(self, Py_ssize_t slot)

cdef class Template:
    cdef public list[object] parts
    cdef public object literal
    cpdef bytes render(self, Variables variables)
