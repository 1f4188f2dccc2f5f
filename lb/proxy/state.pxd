from lb.message cimport Client, RequestHead, ResponseHead
from lb.proxy.core cimport Core
from lb.proxy.rules cimport RouteRules
from lb.proxy.sides cimport ClientSide, ServerSide
from lb.proxy.tracing cimport Trace
from lb.telemetry.accesslog cimport LineFormat
from lb.upstream.server cimport Server
from lb.upstream.service cimport Service

cdef int DONE

cdef class ExchangeState:
    cdef public Core core
    cdef public RequestHead head
    cdef public ResponseHead response
    cdef public ClientSide client
    cdef public Client source
    cdef public RouteRules rules
    cdef public Service service
    cdef public Py_ssize_t slot
    cdef public bytes key
    cdef public bytes token
    cdef public bytes request_id
    cdef public Trace trace
    cdef public long long generation
    cdef public int keep
    cdef public LineFormat line
    cdef public int phase
    cdef public int outcome
    cdef public int status
    cdef public double began
    cdef public double touched
    cdef public double total_deadline
    cdef public long long bytes_in
    cdef public long long bytes_out
    cdef public bint request_ended
    cdef public list[bytes] body
    cdef public Py_ssize_t body_size
    cdef public bint replayable
    cdef public list[Server] tried
    cdef public int retries
    cdef public list[tuple[bytes, int, float, bytes, bytes]] attempts
    cdef public list[tuple[int, float, bool, float, bytes]] picks
    cdef public object timer
    cdef public object mirror
    cdef public object hedge
    cdef public bint hedged
    cdef public Server server
    cdef public ServerSide side
    cdef public bytes span
    cdef public int reason
    cdef public int word
    cdef public bint attempting
    cdef public bint occupying
    cdef public double deadline
    cdef public double attempt_deadline
    cdef public double hedge_at
    cdef public double attempt_began
    cdef public double waited
    cdef public double first_byte
    cdef public double connect_took
    cdef public double queue_took
    cdef public long long sent
    cdef public long long received
    cdef public bint client_ended
    cdef public bint server_ended
    cpdef object reset(self)
