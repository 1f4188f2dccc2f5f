from lb.proxy.client cimport ClientConnection

cpdef object sweep(set[ClientConnection] clients, double now, object broken)
