/* One connection of the load generator: it opens, sends, checks the answer, and goes back to the ring of
 * the free ones. The ring is first in, first out, so that a slow pace still uses every connection. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "histogram.h"
#include "http.h"
#include "requests.h"

enum { MANY_FAILURES = 20000 };

enum failure { NOT_CONNECTED, BAD_STATUS, BAD_LENGTH, CUT_OFF, NO_ANSWER, FAILURES };
static const char *const failure_names[] = {
    "not_connected", "bad_status", "bad_length", "cut_off", "no_answer",
};

struct connection {
    int fd; /* -1: not open */
    bool busy, have_head, upgraded, answered;
    uint64_t due;
    struct piece out[2];
    size_t head_length, echoed;
    struct body body;
    char *head;
};

static struct sockaddr_in proxy = {.sin_family = AF_INET};
static int poller;
static struct connection *all, **free_ring;
static size_t count = 64, free_first, free_count, in_flight;
static struct requests requests;
static struct piece upload;
static size_t next_path;
static uint64_t expected_length, completed, received, reconnects, failures[FAILURES], failed;
static bool closing, websocket, measuring;
static struct histogram latencies;

static void give_back(struct connection *c) {
    free_ring[(free_first + free_count++) % count] = c;
    c->busy = false;
    in_flight--;
}

static void hang_up(struct connection *c) {
    close(c->fd);
    c->fd = -1;
    c->upgraded = false;
}

static void fail(struct connection *c, enum failure why) {
    failures[why]++;
    failed++;
    if (c->fd >= 0) hang_up(c);
    give_back(c);
}

static void succeed(struct connection *c) {
    completed++;
    give_back(c);
}

/* The answer is complete: the clock stops here, even where the connection's end is still awaited. */
static void answered(struct connection *c) {
    if (measuring) histogram_add(&latencies, now_ns() - c->due);
    c->answered = true;
    if (!closing) succeed(c);
}

static void flush(struct connection *c) {
    for (int i = 0; i < 2; i++) {
        int flags = MSG_NOSIGNAL | (i == 0 && c->out[1].length ? MSG_MORE : 0);
        while (c->out[i].length) {
            ssize_t n = send(c->fd, c->out[i].bytes, c->out[i].length, flags);
            if (n < 0) {
                if (errno != EAGAIN) fail(c, errno == ECONNREFUSED ? NOT_CONNECTED : CUT_OFF);
                return;
            }
            c->out[i].bytes += n;
            c->out[i].length -= (size_t)n;
        }
    }
}

static void send_request(struct connection *c) {
    c->have_head = c->answered = false;
    c->head_length = c->echoed = 0;
    if (websocket) {
        c->out[0] = c->upgraded ? (struct piece){requests.frame, sizeof requests.frame} : requests.handshake;
    } else {
        c->out[0] = requests.heads[next_path++ % requests.count];
        c->out[1] = upload;
    }
    flush(c);
}

static bool dial(struct connection *c) {
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0) die("socket");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = c};
    return (connect(c->fd, (struct sockaddr *)&proxy, sizeof proxy) == 0 || errno == EINPROGRESS) &&
           epoll_ctl(poller, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

static void issue(uint64_t due) {
    struct connection *c = free_ring[free_first];
    free_first = (free_first + 1) % count;
    free_count--;
    in_flight++;
    c->busy = true;
    c->due = due;
    c->out[0].length = c->out[1].length = 0;
    if (c->fd < 0 && !dial(c)) fail(c, NOT_CONNECTED);
    else send_request(c); /* on a connection still opening: EAGAIN, and on from there when it is open */
}

static void feed_echo(struct connection *c, const char *data, size_t length) {
    if (length > sizeof requests.echo - c->echoed || memcmp(requests.echo + c->echoed, data, length) != 0) {
        fail(c, BAD_LENGTH);
    } else if ((c->echoed += length) == sizeof requests.echo) {
        answered(c);
    }
}

static void feed(struct connection *c, const char *data, size_t length) {
    received += length;
    if (!c->busy) { /* bytes that nobody asked for */
        failures[BAD_LENGTH]++;
        failed++;
        hang_up(c);
        return;
    }
    if (c->answered) {
        fail(c, BAD_LENGTH);
        return;
    }
    if (c->upgraded) {
        feed_echo(c, data, length);
        return;
    }
    if (!c->have_head) {
        size_t before = c->head_length, part = length < HEAD_LIMIT - before ? length : HEAD_LIMIT - before;
        if (!c->head) c->head = malloc(HEAD_LIMIT);
        memcpy(c->head + before, data, part);
        c->head_length += part;
        size_t head = head_length(c->head, c->head_length, before);
        if (!head && c->head_length < HEAD_LIMIT) return;
        if (!head || memcmp(c->head, websocket ? "HTTP/1.1 101" : "HTTP/1.1 200", 12) != 0) {
            fail(c, BAD_STATUS);
            return;
        }
        data += head - before;
        length -= head - before;
        if (websocket) {
            c->upgraded = true;
            send_request(c);
            return;
        }
        c->have_head = true;
        body_begin(&c->body, c->head, head);
        if (!length) return;
    }
    switch (body_feed(&c->body, data, length)) {
    case BODY_MORE: return;
    case BODY_DONE:
        if (c->body.total == expected_length && !c->out[1].length) {
            answered(c);
            return;
        } /* fall through */
    default: fail(c, BAD_LENGTH);
    }
}

static void ended(struct connection *c) {
    if (closing && c->answered) {
        hang_up(c);
        succeed(c);
    } else if (c->busy) {
        fail(c, CUT_OFF);
    } else {
        reconnects++; /* an idle connection may be closed; the next request opens another */
        hang_up(c);
    }
}

static void ready(struct connection *c, uint32_t events) {
    static char in[1 << 18];
    if (c->fd >= 0 && events & EPOLLOUT && (c->out[0].length || c->out[1].length)) flush(c);
    if (!(events & ~(uint32_t)EPOLLOUT)) return;
    while (c->fd >= 0) {
        ssize_t n = recv(c->fd, in, sizeof in, 0);
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) {
            ended(c);
            return;
        }
        feed(c, in, (size_t)n);
        if ((size_t)n < sizeof in && !(events & EPOLLRDHUP)) return;
    }
}

#endif
