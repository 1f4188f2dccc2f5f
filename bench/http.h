/* What origin.c and load.c share: the little of HTTP/1.1 that both ends of a benchmark must read.
 *
 * Both run on the core beside the proxy's, so they do as little as they can. They trust nothing about
 * framing, though: a proxy that cuts, doubles or re-frames a body wrongly must be seen. */
#ifndef BENCH_HTTP_H
#define BENCH_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

enum { HEAD_LIMIT = 8192 };

enum framing { FRAMED_BY_LENGTH, FRAMED_BY_CHUNKS };
enum chunk_state { SIZE, EXTENSION, DATA, DATA_END, TRAILER, TRAILER_LINE };
enum body_result { BODY_BAD = -1, BODY_MORE, BODY_DONE };

struct body {
    enum framing framing;
    enum chunk_state state;
    uint64_t left;  /* bytes of the body, or of the chunk, that are still to come */
    uint64_t total; /* bytes of content seen */
};

static inline void die(const char *what) {
    perror(what);
    exit(2);
}

/* End for a wrong command line. */
static inline void refuse(const char *why) {
    fprintf(stderr, "%s\n", why);
    exit(2);
}

static inline uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

/* The value of a field in a complete head, or NULL; `name` with its colon, in any case. */
static inline const char *field(const char *head, size_t length, const char *name) {
    size_t name_length = strlen(name);
    const char *end = head + length, *line = memchr(head, '\n', length);
    while (line && (size_t)(end - ++line) > name_length) {
        if (strncasecmp(line, name, name_length) == 0) {
            for (line += name_length; *line == ' '; line++) {}
            return line;
        }
        line = memchr(line, '\n', (size_t)(end - line));
    }
    return NULL;
}

/* Prepare `body` as the head frames it; a head with neither framing has no body. */
static inline void body_begin(struct body *body, const char *head, size_t length) {
    const char *value = field(head, length, "content-length:");
    memset(body, 0, sizeof *body);
    if (value) {
        body->left = strtoull(value, NULL, 10);
        return;
    }
    value = field(head, length, "transfer-encoding:");
    if (value && strncasecmp(value, "chunked", 7) == 0) body->framing = FRAMED_BY_CHUNKS;
}

static inline int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Count `length` bytes into `body`. Bytes after its end are BODY_BAD: nobody here pipelines. */
static inline enum body_result body_feed(struct body *body, const char *data, size_t length) {
    const char *end = data + length;
    if (body->framing == FRAMED_BY_LENGTH) {
        if (length > body->left) return BODY_BAD;
        body->left -= length;
        body->total += length;
        return body->left ? BODY_MORE : BODY_DONE;
    }
    while (data < end) {
        size_t part;
        switch (body->state) {
        case SIZE:
            if (hex_digit(*data) >= 0) body->left = body->left * 16 + (uint64_t)hex_digit(*data);
            else if (*data == ';' || *data == '\r') body->state = EXTENSION;
            else return BODY_BAD;
            data++;
            break;
        case EXTENSION:
            if (*data++ == '\n') body->state = body->left ? DATA : TRAILER;
            break;
        case DATA:
            part = (size_t)(end - data) < body->left ? (size_t)(end - data) : (size_t)body->left;
            data += part;
            body->total += part;
            body->left -= part;
            if (!body->left) body->state = DATA_END;
            break;
        case DATA_END:
            if (*data++ == '\n') body->state = SIZE;
            break;
        case TRAILER: /* at the start of a line: an empty one is the end */
            if (*data == '\n') return data + 1 == end ? BODY_DONE : BODY_BAD;
            if (*data++ != '\r') body->state = TRAILER_LINE;
            break;
        case TRAILER_LINE:
            if (*data++ == '\n') body->state = TRAILER;
            break;
        }
    }
    return BODY_MORE;
}

/* Length of the head at the front of `data` with its empty line, or 0 when that has not come yet;
 * the first `seen` bytes were looked at before. */
static inline size_t head_length(const char *data, size_t length, size_t seen) {
    size_t from = seen > 3 ? seen - 3 : 0;
    const char *found = memmem(data + from, length - from, "\r\n\r\n", 4);
    return found ? (size_t)(found - data) + 4 : 0;
}

#endif
