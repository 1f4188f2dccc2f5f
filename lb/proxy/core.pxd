from lb.message cimport RequestHead
from lb.proxy.budget cimport Budget
from lb.proxy.rules cimport ListenerRules, RouteRules
from lb.proxy.tracing cimport Tracing
from lb.routing.table cimport Table
from lb.routing.template cimport Variables
from lb.telemetry.accesslog cimport LineFormat
from lb.telemetry.cells cimport Cells
from lb.telemetry.record cimport ExchangeRecord

cdef Py_ssize_t _BUNDLE
cdef int _ALLOWED
cdef int _USED
cdef Py_ssize_t _MOST_ID
cdef int X_REQUEST_ID

cdef class Core:
    cdef public Cells cells
    cdef public Table table
    cdef public list[RouteRules] routes
    cdef public LineFormat line
    cdef public long long generation
    cdef public double now
    cdef public double epoch
    cdef public bytes date
    cdef public bint draining
    cdef public dict[str, ListenerRules] listeners
    cdef public long long exchanges
    cdef public ExchangeRecord record
    cdef public Variables variables
    cdef public object log
    cdef list[bytes] lines
    cdef public object rng
    cdef public object report
    cdef public object suspect
    cdef public object tripped
    cdef public object open
    cdef public object later
    cdef public object hedge
    cdef public object mirror
    cdef public list[object] hedges
    cdef public dict[str, Budget] budgets
    cdef public list[object] spare
    cdef public list[object] owned
    cdef public double slow
    cdef public long long until_sample
    cdef public object keep
    cdef public object refused
    cdef public list tails
    cdef public object debug_key
    cdef public Tracing tracing
    cdef bytearray id
    cpdef bytes identity(self, RequestHead head)
    cpdef bytes new_id(self)
    cpdef object show_budgets(self)
    cdef object _show_budget(self, RouteRules rules, long long allowed, long long used)
    cpdef object write_log(self, bytes line)
