/* The bytes that load.c sends, made once: request heads, a WebSocket handshake and message. */
#ifndef BENCH_REQUESTS_H
#define BENCH_REQUESTS_H

#include "http.h"

enum { MESSAGE = 64 };

struct piece {
    const char *bytes;
    size_t length;
};

struct requests {
    struct piece *heads; /* one per path, sent in turn */
    size_t count;
    struct piece handshake;
    char frame[6 + MESSAGE]; /* masked, as a client must */
    char echo[2 + MESSAGE];  /* what comes back */
};

static inline struct piece whole_file(const char *name) {
    FILE *file = fopen(name, "r");
    static const size_t limit = 16 << 20;
    struct piece content = {malloc(limit), 0};
    if (!file) die(name);
    content.length = fread((char *)content.bytes, 1, limit - 1, file);
    ((char *)content.bytes)[content.length] = 0;
    fclose(file);
    return content;
}

/* One request head per line of the paths file: request line, the fields of the head file, empty line. */
static inline struct requests build_requests(const char *head_file, const char *paths_file, size_t upload,
                                             bool closing) {
    struct requests r = {0};
    struct piece head = whole_file(head_file), paths = whole_file(paths_file);
    char extra[64] = "";
    if (upload) sprintf(extra, "Content-Length: %zu\r\n", upload);
    if (closing) strcpy(extra, "Connection: close\r\n");
    for (char *path = strtok((char *)paths.bytes, "\n"); path; path = strtok(NULL, "\n")) {
        char *text;
        const char *method = upload ? "POST" : "GET";
        int size = asprintf(&text, "%s %s HTTP/1.1\r\n%s%s\r\n", method, path, head.bytes, extra);
        r.heads = realloc(r.heads, (r.count + 1) * sizeof *r.heads);
        r.heads[r.count++] = (struct piece){text, (size_t)size};
    }
    if (!r.count) refuse("the file of paths is empty");
    char *text;
    char *first = strndup(r.heads[0].bytes, r.heads[0].length - 2);
    int size = asprintf(&text,
                        "%sConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", /* RFC 6455, section 1.3 */
                        first);
    r.handshake = (struct piece){text, (size_t)size};
    r.frame[0] = r.echo[0] = (char)0x82; /* the whole message in one binary frame */
    r.frame[1] = (char)(0x80 | MESSAGE);
    r.echo[1] = MESSAGE;
    memcpy(r.frame + 2, "mask", 4);
    for (int i = 0; i < MESSAGE; i++) {
        r.echo[2 + i] = (char)('a' + i % 26);
        r.frame[6 + i] = r.echo[2 + i] ^ r.frame[2 + i % 4];
    }
    return r;
}

#endif
