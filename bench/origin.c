/* The origin server of the benchmark: canned answers, one process, one epoll loop.
 *
 *   origin ADDRESS:PORT [ADDRESS:PORT ...]
 *
 * The last segment of the path chooses the answer: 1k, 64k, 1m, chunked (16 KiB in 16 chunks), upload
 * (113 bytes after the whole body), ws (WebSocket echo), counts (connections and requests so far; asked on
 * a connection of its own). Everything else is 404. Ends with its parent or on SIGTERM. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http.h"

#define OK "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
#define EXTRA "Server: origin\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nETag: \"5e3a-62b1c7d8\"\r\n" \
              "Cache-Control: private, max-age=60\r\nVary: Accept-Encoding\r\n"
enum { MASKED_HEAD = 6, FRAME_LIMIT = 131, CHUNKS = 16, CHUNK = 1024 };

struct answer {
    const char *name;
    char *bytes;
    size_t length;
};

struct connection {
    int fd;
    bool listening, reading_body, echoing, closing;
    const struct answer *answer;
    const char *out;
    size_t out_length, sent;
    size_t head_length;
    struct body body;
    char head[HEAD_LIMIT]; /* the head as it comes; for WebSocket the frame as it comes */
    char own[512];         /* an answer made for this connection: an echo, the counts */
};

enum { ANSWERS = 5 };
static struct answer answers[ANSWERS];
static const struct answer not_found = {"", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 45};
static uint64_t connections, requests;
static int poller;

static struct answer sized(const char *name, size_t size) {
    struct answer answer = {name, malloc(size + 1024), 0};
    int head = sprintf(answer.bytes, OK EXTRA "Content-Length: %zu\r\n\r\n", size);
    memset(answer.bytes + head, 'o', size);
    answer.length = (size_t)head + size;
    return answer;
}

static struct answer chunked(const char *name) {
    struct answer answer = {name, malloc(CHUNKS * (CHUNK + 16) + 1024), 0};
    char *p = answer.bytes;
    p += sprintf(p, OK EXTRA "Transfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < CHUNKS; i++) {
        p += sprintf(p, "%x\r\n", CHUNK);
        p = (char *)memset(p, 'o', CHUNK) + CHUNK;
        p += sprintf(p, "\r\n");
    }
    p += sprintf(p, "0\r\n\r\n");
    answer.length = (size_t)(p - answer.bytes);
    return answer;
}

static void drop(struct connection *c) {
    close(c->fd);
    free(c);
}

/* Write what is left of the answer. False: the connection is gone. */
static bool flush(struct connection *c) {
    while (c->sent < c->out_length) {
        ssize_t n = send(c->fd, c->out + c->sent, c->out_length - c->sent, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno == EAGAIN) return true;
            drop(c);
            return false;
        }
        c->sent += (size_t)n;
    }
    if (c->closing && c->out_length) {
        drop(c);
        return false;
    }
    c->out_length = 0;
    return true;
}

static bool respond(struct connection *c, const char *out, size_t length) {
    c->out = out;
    c->out_length = length;
    c->sent = 0;
    return flush(c);
}

static bool answer(struct connection *c) {
    requests++;
    c->reading_body = false;
    return respond(c, c->answer->bytes, c->answer->length);
}

static bool upgrade(struct connection *c) {
    /* The key is always the one of RFC 6455, section 1.3, so the answer to it is known. */
    static const char text[] = "HTTP/1.1 101 Switching Protocols\r\n"
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                               "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    c->echoing = true;
    return respond(c, text, sizeof text - 1);
}

static bool counts(struct connection *c) {
    char body[128];
    connections--; /* the one that asks is none of the load */
    int size = sprintf(body, "{\"connections\": %lu, \"requests\": %lu}", connections, requests);
    int length = sprintf(c->own, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", size, body);
    return respond(c, c->own, (size_t)length);
}

static bool begin(struct connection *c, size_t length) {
    const char *path = memchr(c->head, ' ', length), *end, *name, *value;
    end = path ? strpbrk(path + 1, " ?") : NULL;
    if (!end) {
        drop(c);
        return false;
    }
    for (name = end; name[-1] != '/' && name > path + 1; name--) {}
    size_t size = (size_t)(end - name);
    value = field(c->head, length, "connection:");
    c->closing = value && strncasecmp(value, "close", 5) == 0;
    if (size == 2 && memcmp(name, "ws", 2) == 0) return upgrade(c);
    if (size == 6 && memcmp(name, "counts", 6) == 0) return counts(c);
    c->answer = &not_found;
    for (const struct answer *a = answers; a < answers + ANSWERS; a++)
        if (strlen(a->name) == size && memcmp(name, a->name, size) == 0) c->answer = a;
    body_begin(&c->body, c->head, length);
    c->reading_body = true;
    return true;
}

/* Masked frames of up to 125 bytes, one at a time: what load.c sends. */
static bool echo(struct connection *c, const char *data, size_t length) {
    while (length) {
        size_t part = length < FRAME_LIMIT - c->head_length ? length : FRAME_LIMIT - c->head_length;
        memcpy(c->head + c->head_length, data, part);
        c->head_length += part;
        data += part;
        length -= part;
        size_t payload = c->head_length > 1 ? (size_t)(c->head[1] & 0x7f) : 0;
        if (c->head_length < 2 || c->head_length < MASKED_HEAD + payload) continue;
        if ((c->head[0] & 0x0f) == 8 || c->head_length > MASKED_HEAD + payload) {
            drop(c);
            return false;
        }
        c->own[0] = c->head[0];
        c->own[1] = (char)payload;
        for (size_t i = 0; i < payload; i++) c->own[2 + i] = c->head[MASKED_HEAD + i] ^ c->head[2 + i % 4];
        c->head_length = 0;
        requests++;
        if (!respond(c, c->own, payload + 2)) return false;
    }
    return true;
}

static bool feed(struct connection *c, const char *data, size_t length) {
    if (c->echoing) return echo(c, data, length);
    if (!c->reading_body) {
        size_t before = c->head_length;
        size_t part = length < HEAD_LIMIT - before ? length : HEAD_LIMIT - before;
        memcpy(c->head + before, data, part);
        c->head_length += part;
        size_t head = head_length(c->head, c->head_length, before);
        if (!head && c->head_length < HEAD_LIMIT) return true;
        if (!head) {
            drop(c);
            return false;
        }
        c->head_length = 0;
        data += head - before;
        length -= head - before;
        if (!begin(c, head)) return false;
        if (!c->reading_body) return true;
    }
    if (c->body.framing == FRAMED_BY_CHUNKS && !length) return true;
    switch (body_feed(&c->body, data, length)) {
    case BODY_MORE: return true;
    case BODY_DONE: return answer(c);
    default: drop(c); return false;
    }
}

/* `hung_up`: the end of the stream is in there too, and no further event will tell. */
static void readable(struct connection *c, bool hung_up) {
    static char in[1 << 18];
    for (;;) {
        ssize_t n = recv(c->fd, in, sizeof in, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            drop(c);
            return;
        }
        if (!feed(c, in, (size_t)n) || ((size_t)n < sizeof in && !hung_up)) return;
    }
}

static struct connection *watch(int fd, bool listening, uint32_t events) {
    struct connection *c = malloc(sizeof *c); /* not calloc: the buffers need no zeros */
    memset(c, 0, offsetof(struct connection, head));
    c->fd = fd;
    c->listening = listening;
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &event)) die("epoll_ctl");
    return c;
}

static void listen_on(char *text) {
    char *colon = strrchr(text, ':');
    if (!colon) refuse("ADDRESS:PORT expected");
    *colon = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(colon + 1))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (inet_pton(AF_INET, text, &address.sin_addr) != 1) refuse("not an IPv4 address");
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 4096)) die("listen");
    watch(fd, true, EPOLLIN);
}

int main(int count, char **arguments) {
    struct epoll_event events[256];
    struct rlimit files;
    if (count < 2) refuse("usage: origin ADDRESS:PORT [ADDRESS:PORT ...]");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    answers[0] = sized("1k", 1024);
    answers[1] = sized("64k", 65536);
    answers[2] = sized("1m", 1048576);
    answers[3] = chunked("chunked");
    answers[4] = sized("upload", 113);
    poller = epoll_create1(EPOLL_CLOEXEC);
    for (int i = 1; i < count; i++) listen_on(arguments[i]);
    for (;;) {
        int ready = epoll_wait(poller, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->listening) {
                int on = 1, fd = accept4(c->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
                if (fd < 0) continue;
                setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                connections++;
                watch(fd, false, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
            } else {
                if (c->out_length && events[i].events & EPOLLOUT && !flush(c)) continue;
                if (events[i].events & ~(uint32_t)EPOLLOUT) readable(c, events[i].events & EPOLLRDHUP);
            }
        }
    }
}
