/* The load generator of the benchmark: one process, one epoll loop, every load.
 *
 *   load ADDRESS:PORT --head FILE --paths FILE [--connections N] [--seconds S] [--warmup S] [--length BYTES]
 *        [--upload BYTES] [--rate R] [--close | --idle | --websocket]
 *
 * Opens the connections with one request on each, warms up, prints "ready", waits for a line, runs the
 * measured phase, prints one JSON object, and keeps its connections open until its input ends, so that the
 * caller can look at the proxy's memory meanwhile. Every response is checked: status and length (WebSocket:
 * the bytes). Without --rate each connection sends as soon as it has its answer. With it, requests fall due
 * at random moments (exponential gaps, same sequence in every run) whether or not the proxy keeps up, and
 * latency counts from the moment a request was due: a stall is charged to every request that it delays. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <math.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "client.h"

enum { OPENING_AT_ONCE = 128, IDLE_AT_ONCE = 64 };
static const uint64_t DRAIN_NS = 2000000000u;

/* A gap between two requests in ns, for `rate` a second: exponential, from a fixed seed (xorshift64*). */
static double gap(double rate) {
    static uint64_t x = 0x9E3779B97F4A7C15u;
    x ^= x >> 12, x ^= x << 25, x ^= x >> 27;
    double uniform = (double)((x * 0x2545F4914F6CDD1Du) >> 11) / 9007199254740992.0;
    return -log(1.0 - uniform) * 1e9 / rate;
}

struct phase {
    uint64_t requests; /* 0: no limit */
    double seconds;    /* 0: no limit */
    double rate;       /* 0: as fast as answers come */
    size_t at_once;
};

/* Run one phase to its end and until nothing is in flight. Returns the requests due but never sent. */
static uint64_t run(struct phase phase) {
    struct epoll_event events[256];
    uint64_t now = now_ns(), issued = 0;
    uint64_t end = phase.seconds > 0 ? now + (uint64_t)(phase.seconds * 1e9) : UINT64_MAX;
    double due = (double)now;
    bool over = false;
    while (!over || in_flight) {
        now = now_ns();
        over = over || now >= end || (phase.requests && issued >= phase.requests) || failed > MANY_FAILURES;
        if (now >= end && now - end > DRAIN_NS) break;
        while (!over && free_count && in_flight < phase.at_once && (!phase.rate || due <= (double)now)) {
            issue(phase.rate ? (uint64_t)due : now_ns());
            if (phase.rate) due += gap(phase.rate);
            if (++issued == phase.requests || failed > MANY_FAILURES) break;
        }
        int64_t wait = 100000000;
        if (phase.rate && !over && free_count) wait = (int64_t)due - (int64_t)now_ns();
        if (wait > (int64_t)(end - now)) wait = (int64_t)(end - now);
        if (wait < 0 || wait > 100000000) wait = wait < 0 ? 0 : 100000000;
        struct timespec pause = {0, wait};
        int found = epoll_pwait2(poller, events, 256, &pause, NULL);
        for (int i = 0; i < found; i++) ready(events[i].data.ptr, events[i].events);
    }
    for (size_t i = 0; i < count && in_flight; i++)
        if (all[i].busy) fail(&all[i], NO_ANSWER);
    return phase.rate && due < (double)end ? (uint64_t)(((double)end - due) / 1e9 * phase.rate) : 0;
}

static void aim(char *text) {
    char *colon = strrchr(text, ':');
    if (!colon) refuse("ADDRESS:PORT expected");
    *colon = 0;
    proxy.sin_port = htons((uint16_t)atoi(colon + 1));
    if (inet_pton(AF_INET, text, &proxy.sin_addr) != 1) refuse("not an IPv4 address");
}

int main(int argument_count, char **arguments) {
    static const struct option options[] = {
        {"connections", 1, 0, 'c'}, {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'}, {"rate", 1, 0, 'r'},
        {"length", 1, 0, 'l'},      {"upload", 1, 0, 'u'},  {"head", 1, 0, 'h'},   {"paths", 1, 0, 'p'},
        {"close", 0, 0, 'C'},       {"idle", 0, 0, 'I'},    {"websocket", 0, 0, 'W'}, {0, 0, 0, 0}};
    double seconds = 1, warmup = 0.2, rate = 0;
    const char *head_file = "/dev/null", *paths_file = NULL;
    bool idle = false;
    for (int option; (option = getopt_long(argument_count, arguments, "", options, NULL)) != -1;) {
        if (option == 'c') count = strtoul(optarg, NULL, 10);
        else if (option == 's') seconds = atof(optarg);
        else if (option == 'w') warmup = atof(optarg);
        else if (option == 'r') rate = atof(optarg);
        else if (option == 'l') expected_length = strtoull(optarg, NULL, 10);
        else if (option == 'u') upload.length = strtoul(optarg, NULL, 10);
        else if (option == 'h') head_file = optarg;
        else if (option == 'p') paths_file = optarg;
        else if (option == 'C') closing = true;
        else if (option == 'I') idle = true;
        else if (option == 'W') websocket = true;
        else return 2;
    }
    if (optind != argument_count - 1 || !paths_file) refuse("usage: see the top of load.c");
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    prctl(PR_SET_TIMERSLACK, 1000UL); /* ns: the default of 50 us would blur the pace */
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    alarm((unsigned)(seconds + warmup) + 120);
    aim(arguments[optind]);
    if (upload.length) upload.bytes = memset(malloc(upload.length), 'u', upload.length);
    requests = build_requests(head_file, paths_file, upload.length, closing);
    poller = epoll_create1(EPOLL_CLOEXEC);
    all = calloc(count, sizeof *all);
    free_ring = calloc(count, sizeof *free_ring);
    in_flight = count;
    for (size_t i = 0; i < count; i++) {
        all[i].fd = -1;
        give_back(&all[i]);
    }
    run((struct phase){.requests = count, .seconds = 60, .at_once = OPENING_AT_ONCE});
    if (!idle && warmup > 0) run((struct phase){.seconds = warmup, .rate = rate, .at_once = count});
    uint64_t before = completed, before_bytes = received, unsent;
    printf("ready\n");
    fflush(stdout);
    if (getchar() != '\n') return 1;
    measuring = true;
    uint64_t started = now_ns();
    if (idle) {
        usleep((useconds_t)(seconds * 1e6));
        unsent = run((struct phase){.requests = count, .seconds = 60, .at_once = IDLE_AT_ONCE});
    } else {
        unsent = run((struct phase){.seconds = seconds, .rate = rate, .at_once = count});
    }
    double elapsed = (double)(now_ns() - started) / 1e9;
    printf("{\"requests\": %lu, \"seconds\": %.6f, ", completed - before, elapsed);
    printf("\"bytes\": %lu, ", received - before_bytes);
    printf("\"unsent\": %lu, \"reconnects\": %lu, \"failures\": {", unsent, reconnects);
    for (int i = 0; i < FAILURES; i++) printf("%s\"%s\": %lu", i ? ", " : "", failure_names[i], failures[i]);
    printf("}, \"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}}\n",
           histogram_us(&latencies, 0.5), histogram_us(&latencies, 0.99), histogram_us(&latencies, 0.999),
           (double)latencies.max / 1e3);
    fflush(stdout);
    getchar();
    return 0;
}
