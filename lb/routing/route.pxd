from lb.routing.edits cimport HeaderEdits
from lb.routing.predicates cimport OnClient, OnHost, OnListener, OnMethod, OnPath, OnPathRegex, OnPrefix, Predicate
from lb.routing.redirect cimport Redirect
from lb.routing.respond cimport Respond
from lb.routing.rewrites cimport Rewrite
from lb.routing.split cimport Split
from lb.routing.values cimport OnCookie, OnHeader, OnQuery

cdef class Route:
    cdef public object plan
    cdef public str name
    cdef public Py_ssize_t index
    cdef public list[Predicate] predicates
    cdef public list[Predicate] others
    cdef public Py_ssize_t regexes
    cdef public Split split
    cdef public Redirect redirect
    cdef public Respond respond
    cdef public Rewrite rewrite
    cdef public HeaderEdits request_edits
    cdef public HeaderEdits response_edits
