/* From the spikes of a step to sums: what each source adds to its targets.
 *
 *   DENSE   8-bit rows (pre, stride): 256 targets stay in 16-bit registers while all spikes of
 *           the step stream by; sums go to 32 bits before they can overflow. Of 64 targets the
 *           first 32 are the lower bytes of 32 words, the others the upper ones
 *   BLOCKS  64 neighbouring targets at once (convolutions): target 16 k + i is byte k of word i
 *   PACKED  one word a synapse: target << 8 | weight
 *   WIDE    target and weight, 32 bits each
 *   ROWS    32-bit rows (pre, stride)
 */
#ifndef SPIKEPORT_SYNAPSES_H
#define SPIKEPORT_SYNAPSES_H

#include <string.h>
#include "clones.h"
#include "plan.h"

/* What arrives: sources, and what each of them sent (NULL: one spike). */
typedef struct {
    const int32_t *source, *payload;
    int64_t size;
} Arrivals;

#define AHEAD 4             /* rows are fetched so many spikes ahead */
#define LINES 8             /* cache lines of a row that are fetched at most */
#define BLOCK 64            /* targets of a block: four to a word of 32 bits */
#define GROUP 64            /* targets of a group of a dense row: two to a 16-bit lane */
typedef uint16_t Lanes __attribute__((vector_size(GROUP)));
typedef int32_t Words __attribute__((vector_size(BLOCK)));
typedef uint32_t UnsignedWords __attribute__((vector_size(BLOCK)));

/* Ask for some cache lines. */
INLINE void fetch_lines(const uint8_t *at, int64_t lines)
{
    for (int64_t line = 0; line < lines; line++)
        __builtin_prefetch(at + 64 * line, 0, 3);
}

/* Add a group of 64 weights; `both` keeps their 16-bit words, `upper` the upper bytes. */
INLINE void add_group(Lanes *both, Lanes *upper, const uint8_t *at)
{
    Lanes words;
    memcpy(&words, at, GROUP);
    *both += words;
    *upper += words >> 8;
}

/* Move the sums of a group to 32 bits. `both` = lower + 256 * upper modulo 2**16. */
INLINE void flush_group(int32_t *sum, const Lanes *both, const Lanes *upper, int32_t events,
                        const Projection *p)
{
    const Lanes lower = *both - (*upper << 8);
    for (int64_t j = 0; j < GROUP / 2; j++) {
        sum[j] += (lower[j] + p->lowest * events) * p->factor;
        sum[j + GROUP / 2] += ((*upper)[j] + p->lowest * events) * p->factor;
    }
}

/* Weights are bytes of 0 .. 255 above `lowest`: 256 of them fit a lane of 16 bits. */
INLINE void dense_spikes(const Projection *p, Arrivals a, int32_t *sum)
{
    const uint8_t *weights = p->weights;
    for (int64_t begin = 0; begin < a.size; begin += 256) {
        const int64_t end = begin + 256 < a.size ? begin + 256 : a.size;
        const int32_t events = (int32_t)(end - begin);
        int64_t j = 0;
        for (; j + 4 * GROUP <= p->stride; j += 4 * GROUP) {
            Lanes b0 = {0}, b1 = {0}, b2 = {0}, b3 = {0}, u0 = {0}, u1 = {0}, u2 = {0}, u3 = {0};
            for (int64_t k = begin; k < end; k++) {
                const uint8_t *row = weights + a.source[k] * p->stride + j;
                if (k + AHEAD < end)
                    fetch_lines(weights + a.source[k + AHEAD] * p->stride + j, 4);
                add_group(&b0, &u0, row);
                add_group(&b1, &u1, row + GROUP);
                add_group(&b2, &u2, row + 2 * GROUP);
                add_group(&b3, &u3, row + 3 * GROUP);
            }
            flush_group(sum + j, &b0, &u0, events, p);
            flush_group(sum + j + GROUP, &b1, &u1, events, p);
            flush_group(sum + j + 2 * GROUP, &b2, &u2, events, p);
            flush_group(sum + j + 3 * GROUP, &b3, &u3, events, p);
        }
        for (; j < p->stride; j += GROUP) {
            Lanes b0 = {0}, u0 = {0};
            for (int64_t k = begin; k < end; k++)
                add_group(&b0, &u0, weights + a.source[k] * p->stride + j);
            flush_group(sum + j, &b0, &u0, events, p);
        }
    }
}

INLINE void dense_messages(const Projection *p, Arrivals a, int32_t *sum)
{
    for (int64_t k = 0; k < a.size; k++) {
        const int32_t times = p->factor * a.payload[k];
        const uint8_t *row = (const uint8_t *)p->weights + a.source[k] * p->stride;
        for (int64_t j = 0; j < p->stride; j += GROUP)
            for (int64_t i = 0; i < GROUP / 2; i++) {
                sum[j + i] += (row[j + 2 * i] + p->lowest) * times;
                sum[j + i + GROUP / 2] += (row[j + 2 * i + 1] + p->lowest) * times;
            }
    }
}

CLONED void add_dense(const Projection *p, Arrivals a, int32_t *sum)
{
    if (a.payload)
        dense_messages(p, a, sum);
    else
        dense_spikes(p, a, sum);
}

INLINE void fetch(const Projection *p, Arrivals a, int64_t k, int64_t size, const uint8_t *base)
{
    if (k >= a.size)
        return;
    const int64_t from = p->first[a.source[k]] * size, to = p->first[a.source[k] + 1] * size;
    const int64_t lines = (to - from + 63) / 64;
    fetch_lines(base + from, lines < LINES ? lines : LINES);
}

/* Add byte `k` of each word to 16 targets. */
INLINE void add_bytes(int32_t *at, const Words *words, int k, int is_unsigned, int is_plain,
                      int32_t times)
{
    Words sum, up = *words << (24 - 8 * k);
    memcpy(&sum, at, sizeof sum);
    up = is_unsigned ? (Words)((UnsignedWords)up >> 24) : up >> 24;
    sum += is_plain ? up : up * times;
    memcpy(at, &sum, sizeof sum);
}

INLINE void block_rows(const Projection *p, Arrivals a, int32_t *sum, int is_unsigned, int is_plain)
{
    const uint8_t *weights = p->weights;
    for (int64_t k = 0; k < a.size; k++) {
        fetch(p, a, k + AHEAD, BLOCK, weights);
        const int32_t times = p->factor * (a.payload ? a.payload[k] : 1);
        const int64_t end = p->first[a.source[k] + 1];
        for (int64_t e = p->first[a.source[k]]; e < end; e++) {
            int32_t *at = sum + p->targets[e];
            Words words;
            memcpy(&words, weights + e * BLOCK, BLOCK);
            add_bytes(at, &words, 0, is_unsigned, is_plain, times);
            add_bytes(at + 16, &words, 1, is_unsigned, is_plain, times);
            add_bytes(at + 32, &words, 2, is_unsigned, is_plain, times);
            add_bytes(at + 48, &words, 3, is_unsigned, is_plain, times);
        }
    }
}

CLONED void add_blocks(const Projection *p, Arrivals a, int32_t *sum)
{
    const int is_plain = p->factor == 1 && !a.payload;
    if (p->is_unsigned)
        block_rows(p, a, sum, 1, 0);
    else if (is_plain)
        block_rows(p, a, sum, 0, 1);
    else
        block_rows(p, a, sum, 0, 0);
}

INLINE void packed_lists(const Projection *p, Arrivals a, int32_t *sum, int is_unsigned,
                         int is_plain)
{
    const uint32_t *words = p->weights;
    for (int64_t k = 0; k < a.size; k++) {
        fetch(p, a, k + AHEAD, 4, (const uint8_t *)words);
        const int32_t times = p->factor * (a.payload ? a.payload[k] : 1);
        const int64_t end = p->first[a.source[k] + 1];
#pragma GCC unroll 4
        for (int64_t e = p->first[a.source[k]]; e < end; e++) {
            const uint32_t word = words[e];
            const int32_t weight = is_unsigned ? (int32_t)(word & 255) : (int8_t)(word & 255);
            sum[word >> 8] += is_plain ? weight : weight * times;
        }
    }
}

static void add_packed(const Projection *p, Arrivals a, int32_t *sum)
{
    const int is_plain = p->factor == 1 && !a.payload;
    if (p->is_unsigned)
        packed_lists(p, a, sum, 1, 0);
    else if (is_plain)
        packed_lists(p, a, sum, 0, 1);
    else
        packed_lists(p, a, sum, 0, 0);
}

CLONED void add_rows(const Projection *p, Arrivals a, int32_t *sum)
{
    for (int64_t k = 0; k < a.size; k++) {
        const int32_t times = p->factor * (a.payload ? a.payload[k] : 1);
        const int32_t *row = (const int32_t *)p->weights + a.source[k] * p->stride;
        for (int64_t j = 0; j < p->stride; j++)
            sum[j] += row[j] * times;
    }
}

CLONED void add_rows64(const Projection *p, Arrivals a, int64_t *sum)
{
    for (int64_t k = 0; k < a.size; k++) {
        const int64_t times = (int64_t)p->factor * (a.payload ? a.payload[k] : 1);
        const int32_t *row = (const int32_t *)p->weights + a.source[k] * p->stride;
        for (int64_t j = 0; j < p->stride; j++)
            sum[j] += row[j] * times;
    }
}

static void add_wide(const Projection *p, Arrivals a, int32_t *sum)
{
    const int32_t *weights = p->weights;
    for (int64_t k = 0; k < a.size; k++) {
        const int32_t times = p->factor * (a.payload ? a.payload[k] : 1);
        for (int64_t e = p->first[a.source[k]]; e < p->first[a.source[k] + 1]; e++)
            sum[p->targets[e]] += weights[e] * times;
    }
}

static void add_wide64(const Projection *p, Arrivals a, int64_t *sum)
{
    const int32_t *weights = p->weights;
    for (int64_t k = 0; k < a.size; k++) {
        const int64_t times = (int64_t)p->factor * (a.payload ? a.payload[k] : 1);
        for (int64_t e = p->first[a.source[k]]; e < p->first[a.source[k] + 1]; e++)
            sum[p->targets[e]] += weights[e] * times;
    }
}

/* Add what arrives by one projection to 32-bit sums, modulo 2**32. */
static void add(const Projection *p, Arrivals a, int32_t *sum)
{
    switch (p->format) {
    case DENSE: add_dense(p, a, sum); break;
    case BLOCKS: add_blocks(p, a, sum); break;
    case PACKED: add_packed(p, a, sum); break;
    case WIDE: add_wide(p, a, sum); break;
    case ROWS: add_rows(p, a, sum); break;
    }
}

/* The same where 32 bits may not do; layout.py gives such a population no 8-bit formats. */
static void add64(const Projection *p, Arrivals a, int64_t *sum)
{
    if (p->format == ROWS)
        add_rows64(p, a, sum);
    else
        add_wide64(p, a, sum);
}

INLINE int64_t shifted(int64_t value, int64_t exponent)
{
    return exponent >= 0 ? (int64_t)((uint64_t)value << exponent) : value >> -exponent;
}

/* Move a projection's own sums, wrapped and shifted, into the population's; leave zeros. */
CLONED void join(const Projection *p, int32_t *own, int32_t *sum, int64_t size)
{
    for (int64_t i = 0; i < size; i++) {
        sum[i] += (int32_t)shifted(own[i], p->shift);
        own[i] = 0;
    }
}

CLONED void join64(const Projection *p, int64_t *own, int64_t *sum, int64_t size)
{
    for (int64_t i = 0; i < size; i++) {
        sum[i] += shifted(p->wraps ? (int32_t)own[i] : own[i], p->shift);
        own[i] = 0;
    }
}

/* Xylo: add event by event to `level`, which saturates each time, and to `sum`, which does not. */
static void add_one_by_one(const Projection *p, Arrivals a, int64_t *sum, int64_t *level,
                           int64_t limit)
{
    const int32_t *weights = p->weights;
    for (int64_t k = 0; k < a.size; k++) {
        const int64_t times = (int64_t)p->factor * (a.payload ? a.payload[k] : 1);
        for (int64_t e = p->first[a.source[k]]; e < p->first[a.source[k] + 1]; e++) {
            const int64_t change = weights[e] * times;
            int64_t next = level[p->targets[e]] + change;
            next = next > limit ? limit : next < -limit - 1 ? -limit - 1 : next;
            level[p->targets[e]] = next;
            sum[p->targets[e]] += change;
        }
    }
}

#endif
