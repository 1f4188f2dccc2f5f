/* Latencies in ns, counted in buckets of less than 1 % width over the whole range (as HdrHistogram does). */
#ifndef BENCH_HISTOGRAM_H
#define BENCH_HISTOGRAM_H

#include <stdint.h>

enum { FINE_BITS = 7, FINE = 1 << FINE_BITS };

struct histogram {
    uint64_t counts[(65 - FINE_BITS) * FINE], total, max;
};

static inline void histogram_add(struct histogram *h, uint64_t ns) {
    int shift = ns < FINE ? 0 : 63 - __builtin_clzll(ns) - (FINE_BITS - 1);
    h->counts[((uint64_t)shift << FINE_BITS) + (ns >> shift)]++;
    h->total++;
    if (ns > h->max) h->max = ns;
}

/* The latency in us that a `share` (0 to 1) of all requests did not exceed; the middle of its bucket. */
static inline double histogram_us(const struct histogram *h, double share) {
    uint64_t wanted = (uint64_t)((double)h->total * share), seen = 0;
    if (!h->total) return 0;
    if (wanted >= h->total) wanted = h->total - 1;
    for (uint64_t i = 0; i < sizeof h->counts / sizeof *h->counts; i++) {
        if ((seen += h->counts[i]) > wanted) {
            uint64_t shift = i >> FINE_BITS;
            return ((double)(i & (FINE - 1)) + 0.5) * (double)(1ull << shift) / 1e3;
        }
    }
    return (double)h->max / 1e3;
}

#endif
