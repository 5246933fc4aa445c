/* One sample through all its steps: sums, neurons, spikes, counters. */
#ifndef SPIKEPORT_SAMPLE_H
#define SPIKEPORT_SAMPLE_H

#ifdef __SSE2__
#include <emmintrin.h>
#endif
#include "workspace.h"

/* What a population sent `back` steps before step t. */
INLINE Arrivals arrivals(const Plan *plan, const Population *p, const Local *l, int64_t sample,
                         int64_t t, int64_t back)
{
    if (p->kind == INPUT && t >= back) {
        const int64_t *at = p->given_at + sample * (plan->steps + 1) + t - back;
        return (Arrivals){p->given + at[0], p->given_count ? p->given_count + at[0] : NULL,
                          at[1] - at[0]};
    }
    if (!l->ring)
        return (Arrivals){NULL, NULL, 0};
    const int64_t slot = slot_of(p, l, back);
    return (Arrivals){l->ring + slot * p->size,
                      l->ring_count ? l->ring_count + slot * p->size : NULL, l->ring_size[slot]};
}

/* Add up what arrives at a population in step t. */
static int64_t gather(const Plan *plan, const Population *p, Workspace *space, int64_t sample,
                      int64_t t)
{
    Local *l = &space->locals[p - plan->populations];
    int64_t events = 0;
    if (p->kind == XYLO)
        memcpy(l->level, l->w.u, p->size * sizeof *l->level);
    for (int64_t k = p->into; k < p->into_end; k++) {
        const Projection *from = &plan->projections[k];
        const Arrivals a = arrivals(plan, &plan->populations[from->pre], &space->locals[from->pre],
                                    sample, t, from->delay);
        events += a.size;
        if (!a.size)
            continue;
        void *into = from->own_sum ? l->own : l->sum;
        if (p->kind == XYLO)
            add_one_by_one(from, a, l->sum, l->level, LARGEST16);
        else if (p->is_wide)
            add64(from, a, into);
        else
            add(from, a, into);
        if (from->own_sum && p->is_wide)
            join64(from, l->own, l->sum, p->size);
        else if (from->own_sum)
            join(from, l->own, l->sum, p->size);
    }
    return events;
}

/* Step some places of a population in 64 bits. */
CLONED Counts step_wide(const Population *p, Local *l, const int64_t *host, int64_t from,
                        int64_t to)
{
    Counts counts = {0, 0};
    for (int64_t i = from; i < to; i++) {
        int64_t received;
        if (p->is_wide) {
            received = ((int64_t *)l->sum)[i];
            ((int64_t *)l->sum)[i] = 0;
        } else {
            received = ((int32_t *)l->sum)[i];
            ((int32_t *)l->sum)[i] = 0;
        }
        received = shifted(received, p->up);
        if (p->kind == XYLO) { /* it is the change of a level that saturates */
            const int64_t change = l->level[i] - l->w.u[i];
            counts.overflows += change != received;
            received = change;
        }
        if (p->wraps)
            received = (int32_t)received;
        const int64_t bias = of(p->bias, i) + (host ? host[neuron_at(p, i)] : 0);
        const int busy = (l->w.u[i] | l->w.v[i] | received | bias) != 0;
        counts.active += busy;
        l->n.busy[i] += (uint8_t)busy;
        switch (p->kind) {
        case XYLO:
            l->sent[i] = (int32_t)step_xylo(p, l->w, i, received, bias, &counts.overflows);
            break;
        case IZHIKEVICH:
            l->sent[i] = (int32_t)step_izhikevich(p, l->w, i, received, bias, &counts.overflows);
            break;
        default:
            l->sent[i] = (int32_t)step_membrane(p, l->w, i, received, bias, &counts.overflows);
        }
    }
    return counts;
}

/* Return a bit for each of 64 bytes that are 0 or 1. */
INLINE uint64_t bits_of(const uint8_t *bytes)
{
    uint64_t bits = 0;
    for (int k = 0; k < 4; k++) {
#ifdef __SSE2__
        const __m128i some = _mm_loadu_si128((const __m128i *)(bytes + 16 * k));
        bits |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_slli_epi16(some, 7)) << (16 * k);
#else
        for (int j = 0; j < 16; j++)
            bits |= (uint64_t)bytes[16 * k + j] << (16 * k + j);
#endif
    }
    return bits;
}

/* Write the places that spiked into the ring; returns how many. */
static int64_t collect(const Population *p, Local *l)
{
    const int64_t slot = l->slot;
    int32_t *places = l->ring + slot * p->size;
    int64_t found = 0;
    if (!l->narrow) {
        int32_t *counts = l->ring_count ? l->ring_count + slot * p->size : NULL;
        for (int64_t i = 0; i < p->size; i++) {
            if (!l->sent[i])
                continue;
            if (counts)
                counts[found] = l->sent[i];
            places[found++] = (int32_t)i;
        }
        return l->ring_size[slot] = found;
    }
    for (int64_t i = 0; i < p->padded; i += 64) { /* what is behind `size` never spikes */
        uint64_t some = bits_of(l->n.spiked + i);
        while (some) {
            places[found++] = (int32_t)(i + __builtin_ctzll(some));
            some &= some - 1;
        }
    }
    return l->ring_size[slot] = found;
}

/* Append the neurons that spiked, in ascending order, to what the run returns. */
static enum Ending record(Plan *plan, const Population *p, Local *l, int64_t sample, int64_t t)
{
    const Arrivals a = arrivals(plan, p, l, sample, t, 0);
    Spikes *out = &p->out[sample];
    const enum Ending grown = grow(plan, out, a.size, p->has_payload);
    if (grown != FINISHED)
        return grown;
    int32_t *neurons = out->neuron + out->size;
    if (p->order) {
        int64_t found = 0;
        for (int64_t k = 0; k < a.size; k++) {
            const int64_t neuron = p->order[a.source[k]];
            l->bits[neuron >> 6] |= (uint64_t)1 << (neuron & 63);
        }
        for (int64_t word = 0; found < a.size; word++) {
            while (l->bits[word]) {
                neurons[found++] = (int32_t)(64 * word + __builtin_ctzll(l->bits[word]));
                l->bits[word] &= l->bits[word] - 1;
            }
        }
    } else if (a.size) {
        memcpy(neurons, a.source, a.size * sizeof *neurons);
    }
    for (int64_t k = 0; p->has_payload && k < a.size; k++)
        out->count[out->size + k] = l->sent[p->place ? p->place[neurons[k]] : neurons[k]];
    out->size += a.size;
    p->sent[sample * plan->steps + t] = a.size;
    return FINISHED;
}

#define ROWS_AHEAD 32       /* a row is counted in few cycles ... */
#define NEAR (1 << 18)      /* ... and tables up to so many bytes are in the cache anyway */

/* Make a function that counts messages of up to 65535 spikes on CORES cores: rows of uint16, two
 * to a word of 32 bits.
 */
#define COUNT_ROWS(NAME, CORES)                                                                   \
    typedef uint16_t NAME##_lanes __attribute__((vector_size(2 * (CORES))));                      \
    typedef uint32_t NAME##_words __attribute__((vector_size(2 * (CORES))));                      \
    INLINE void NAME(const uint16_t *reach, int64_t padded, const int32_t *sources, int64_t size, \
                     int64_t ahead, int32_t *packets, int32_t *operations)                        \
    {                                                                                             \
        NAME##_lanes seen = {0};                                                                  \
        NAME##_words both = {0}, upper = {0};                                                     \
        for (int64_t k = 0; k < size; k++) {                                                      \
            if (k + ahead < size)                                                                 \
                __builtin_prefetch(reach + sources[k + ahead] * padded, 0, 3);                    \
            NAME##_lanes row;                                                                     \
            memcpy(&row, reach + sources[k] * padded, sizeof row);                                \
            seen -= (NAME##_lanes)(row != 0);                                                     \
            both += (NAME##_words)row;                                                            \
            upper += (NAME##_words)row >> 16;                                                     \
        }                                                                                         \
        const NAME##_words lower = both - (upper << 16);                                          \
        for (int64_t i = 0; i < (CORES) / 2; i++) {                                               \
            operations[2 * i] += (int32_t)lower[i];                                               \
            operations[2 * i + 1] += (int32_t)upper[i];                                           \
        }                                                                                         \
        for (int64_t i = 0; i < (CORES); i++)                                                     \
            packets[i] += seen[i];                                                                \
    }
COUNT_ROWS(count_16, 16)
COUNT_ROWS(count_32, 32)

/* Count, for each core, what the spikes of a population cause: once per message. */
CLONED void count_messages(const Plan *plan, const Population *p, Arrivals a, int32_t *const *row)
{
    int32_t *packets = row[PACKETS_IN], *operations = row[SYNAPTIC_OPS];
    const int64_t padded = plan->cores_padded;
    const int64_t ahead = p->size * padded * 2 > NEAR ? ROWS_AHEAD : a.size;
    for (int64_t begin = 0; p->reach && begin < a.size; begin += 65535) {
        const int64_t size = a.size - begin < 65535 ? a.size - begin : 65535;
        const int32_t *sources = a.source + begin;
        int64_t core = 0;
        for (; core + 32 <= padded; core += 32)
            count_32(p->reach + core, padded, sources, size, ahead, packets + core,
                     operations + core);
        if (core < padded)
            count_16(p->reach + core, padded, sources, size, ahead, packets + core,
                     operations + core);
    }
    for (int64_t k = 0; p->reach_first && k < a.size; k++)
        for (int64_t e = p->reach_first[a.source[k]]; e < p->reach_first[a.source[k] + 1]; e++) {
            operations[p->reach_core[e]] += p->reach_synapses[e];
            packets[p->reach_core[e]]++;
        }
}

/* Count, for each core, the spikes and packets that leave it; places are sorted by core. */
static void count_sent(const Population *p, Arrivals a, int32_t *const *row)
{
    int64_t k = 0;
    for (int64_t s = 0; s < p->segments && k < a.size; s++) {
        const int64_t first = k;
        int64_t packets = 0;
        for (; k < a.size && a.source[k] < p->segment_end[s]; k++)
            packets += p->fan_out ? p->fan_out[a.source[k]] : 0;
        row[SPIKES_OUT][p->segment_core[s]] += (int32_t)(k - first);
        row[PACKETS_OUT][p->segment_core[s]] += (int32_t)packets;
    }
}

/* Step a population, core by core. */
static Counts step_cores(const Population *p, Local *l, const int64_t *host, int32_t *const *row)
{
    Counts all = {0, 0};
    int64_t from = 0;
    for (int64_t s = 0; s < (p->segments ? p->segments : 1); s++) {
        const int64_t to = p->segments ? p->segment_end[s] : p->size;
        const Counts some = l->narrow ? step_narrow(p, l->n, from, to)
                                      : step_wide(p, l, host, from, to);
        if (p->segments && row[SOMA_UPDATES])
            row[SOMA_UPDATES][p->segment_core[s]] += (int32_t)some.active;
        all.overflows += some.overflows;
        from = to;
    }
    return all;
}

static void probe(const Plan *plan, const Probe *q, const Local *l, int64_t sample, int64_t t)
{
    const int64_t row = (sample * plan->steps + t) * q->size;
    for (int64_t k = 0; k < q->size; k++) {
        const int64_t i = q->places[k];
        const int64_t value = l->narrow ? (q->variable ? l->n.v[i] : l->n.u[i])
                                        : (q->variable ? l->w.v[i] : l->w.u[i]);
        if (q->is_wide)
            ((int64_t *)q->out)[row + k] = value;
        else
            ((int32_t *)q->out)[row + k] = (int32_t)value;
    }
}

/* Take one step of a sample; returns the work that it was in *work. */
static enum Ending step_all(Plan *plan, Workspace *space, int64_t sample, int64_t t,
                            int64_t *work)
{
    int32_t *const *row = space->core_row;
    for (int64_t i = 0; i < plan->population_count; i++) {
        Local *l = &space->locals[i];
        l->slot = slot_of(&plan->populations[i], l, -1);
        if (l->ring)
            l->ring_size[l->slot] = 0; /* nothing is sent yet: delays may be 0 */
    }
    for (int64_t i = 0; i < plan->population_count; i++) {
        const Population *p = &plan->populations[i];
        Local *l = &space->locals[i];
        const int64_t since = plan->first + t - p->start_step;
        if (p->kind == INPUT || since < 0 || (p->slow > 1 && since % p->slow))
            continue;
        *work += gather(plan, p, space, sample, t) * 64 + p->size;
        const int64_t *host = p->host ? p->host + (sample * plan->steps + t) * p->size : NULL;
        const Counts counts = step_cores(p, l, host, row);
        space->overflows[i] += counts.overflows;
        collect(p, l);
        if (++l->busy_steps == BUSY_STEPS)
            count_busy(p, l, sample);
    }
    for (int64_t i = 0; i < plan->population_count; i++) {
        const Population *p = &plan->populations[i];
        Local *l = &space->locals[i];
        const Arrivals a = arrivals(plan, p, l, sample, t, 0);
        const enum Ending ending =
            p->kind == INPUT ? FINISHED : record(plan, p, l, sample, t);
        if (ending != FINISHED)
            return ending;
        if (!plan->core_counters[0])
            continue;
        count_messages(plan, p, a, row);
        count_sent(p, a, row);
    }
    for (int k = 0; k < CORE_COUNTERS && plan->core_counters[0]; k++) {
        int32_t *at = plan->core_counters[k] + (sample * plan->steps + t) * plan->cores;
        memcpy(at, row[k], plan->cores * sizeof *at);
        memset(row[k], 0, plan->cores_padded * sizeof *at);
    }
    for (int64_t k = 0; k < plan->probe_count; k++)
        probe(plan, &plan->probes[k], &space->locals[plan->probes[k].population], sample, t);
    return FINISHED;
}

/* Called now and then with the steps done so far; ends the run where it returns not 0. */
typedef int (*Tick)(Plan *plan, int64_t thread);
#define WORK_OF_A_TICK 2000000

static enum Ending run_sample(Plan *plan, Workspace *space, int64_t sample, int64_t thread,
                              Tick tick)
{
    int64_t work = 0;
    memset(space->overflows, 0, plan->population_count * sizeof *space->overflows);
    for (int64_t i = 0; i < plan->population_count; i++)
        load(plan, &plan->populations[i], &space->locals[i], sample);
    for (int k = 0; k < CORE_COUNTERS && plan->core_counters[0]; k++)
        memset(space->core_row[k], 0, plan->cores_padded * sizeof *space->core_row[k]);
    for (int64_t t = 0; t < plan->steps; t++) {
        const enum Ending ending = step_all(plan, space, sample, t, &work);
        if (ending != FINISHED)
            return ending;
        __atomic_store_n(&plan->done[thread], plan->done[thread] + 1, __ATOMIC_RELAXED);
        if (work > WORK_OF_A_TICK) {
            work = 0;
            if (tick(plan, thread))
                return STOPPED;
        }
    }
    for (int64_t i = 0; i < plan->population_count; i++) {
        store(plan, &plan->populations[i], &space->locals[i], sample);
        __atomic_fetch_add(&plan->overflows[i], space->overflows[i], __ATOMIC_RELAXED);
    }
    return FINISHED;
}

/* Take samples until none is left. */
static void run_samples(Plan *plan, int64_t thread, Tick tick)
{
    Workspace space = {0};
    enum Ending ending = prepare(plan, &space) ? FINISHED : NO_MEMORY;
    while (ending == FINISHED && !__atomic_load_n(&plan->stop, __ATOMIC_RELAXED)) {
        const int64_t sample = __atomic_fetch_add(&plan->next_sample, 1, __ATOMIC_RELAXED);
        if (sample >= plan->samples)
            break;
        ending = run_sample(plan, &space, sample, thread, tick);
    }
    if (ending == NO_MEMORY || ending == NO_ROOM)
        __atomic_store_n(&plan->failed, ending, __ATOMIC_RELAXED);
    if (ending != FINISHED)
        __atomic_store_n(&plan->stop, 1, __ATOMIC_RELAXED);
    release(plan, &space);
}

#endif
