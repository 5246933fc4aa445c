/* What a thread works in: buffers of the sample that it is at, filled from the run and written
 * back to it.
 */
#ifndef SPIKEPORT_WORKSPACE_H
#define SPIKEPORT_WORKSPACE_H

#include <stdlib.h>
#include <string.h>
#include "membrane32.h"
#include "neurons.h"
#include "plan.h"
#include "synapses.h"

#define BUSY_STEPS 255 /* a byte counts so many steps */

/* What a thread needs for one population of the sample that it is at. */
typedef struct {
    int narrow;                /* is it run by membrane32.h */
    void *sum, *own;           /* (padded) of int32 or int64 */
    Narrow n;
    Wide w;
    int64_t *level;            /* XYLO: u, saturated event by event */
    int32_t *sent;             /* by kinds that are not narrow, (size) */
    int32_t *ring, *ring_count; /* spikes of the last depth + 1 steps, by place */
    int64_t *ring_size;
    int64_t slot;              /* of the step that it is at, in the ring */
    uint64_t *bits;            /* of neurons that spiked, where the order is not their own */
    int64_t busy_steps;
} Local;

typedef struct {
    Local *locals;
    int32_t *core_row[CORE_COUNTERS]; /* of the step, (cores padded) */
    int64_t *overflows;
} Workspace;

enum Ending { FINISHED, STOPPED, NO_MEMORY, NO_ROOM };

/* Bytes of a place for an event: in the list, and in the copy that a run returns. */
#define PLACE_BYTES 8

/* Make room for more events. */
static enum Ending grow(Plan *plan, Spikes *out, int64_t more, int has_count)
{
    if (out->size + more <= out->room)
        return FINISHED;
    int64_t room = out->room ? 2 * out->room : 16;
    while (room < out->size + more)
        room *= 2;
    const int64_t bytes = (room - out->room) * PLACE_BYTES * (has_count ? 2 : 1);
    if (__atomic_sub_fetch(&plan->room, bytes, __ATOMIC_RELAXED) < 0)
        return NO_ROOM;
    int32_t *neuron = realloc(out->neuron, room * sizeof *neuron);
    out->neuron = neuron ? neuron : out->neuron;
    int32_t *count = has_count ? realloc(out->count, room * sizeof *count) : NULL;
    out->count = count ? count : out->count;
    if (!neuron || (has_count && !count))
        return NO_MEMORY;
    out->room = room;
    return FINISHED;
}

static void release(const Plan *plan, Workspace *space)
{
    for (int64_t i = 0; space->locals && i < plan->population_count; i++) {
        Local *l = &space->locals[i];
        void *all[] = {l->sum, l->own, l->n.u, l->n.v, l->n.spiked, l->n.busy, l->w.u, l->w.v,
                       l->w.refractory, l->w.pending, l->level, l->sent, l->ring, l->ring_count,
                       l->ring_size, l->bits};
        for (size_t k = 0; k < sizeof all / sizeof *all; k++)
            free(all[k]);
    }
    for (int k = 0; k < CORE_COUNTERS; k++)
        free(space->core_row[k]);
    free(space->locals);
    free(space->overflows);
}

/* Make a thread's buffers; 0 where there is no memory. */
static int prepare(const Plan *plan, Workspace *space)
{
    int fine = 1;
#define MAKE(WHERE, COUNT) fine &= ((WHERE) = calloc((size_t)(COUNT) + 1, sizeof *(WHERE))) != NULL
    MAKE(space->locals, plan->population_count);
    MAKE(space->overflows, plan->population_count);
    for (int k = 0; k < CORE_COUNTERS && plan->core_counters[0]; k++)
        MAKE(space->core_row[k], plan->cores_padded);
    for (int64_t i = 0; fine && i < plan->population_count; i++) {
        const Population *p = &plan->populations[i];
        Local *l = &space->locals[i];
        if (p->kind == INPUT && !p->history)
            continue;
        MAKE(l->ring, (p->depth + 1) * p->size);
        MAKE(l->ring_size, p->depth + 1);
        if (p->has_payload)
            MAKE(l->ring_count, (p->depth + 1) * p->size);
        if (p->kind == INPUT)
            continue;
        const size_t width = p->is_wide ? 8 : 4;
        fine &= (l->sum = calloc(p->padded + BLOCK, width)) != NULL;
        l->n.sum = l->sum;
        for (int64_t k = p->into; k < p->into_end && !l->own; k++)
            if (plan->projections[k].own_sum)
                fine &= (l->own = calloc(p->padded + BLOCK, width)) != NULL;
        MAKE(l->n.spiked, p->padded);
        MAKE(l->n.busy, p->padded);
        if (p->narrow) {
            MAKE(l->n.u, p->padded);
            MAKE(l->n.v, p->padded);
        } else {
            MAKE(l->w.u, p->size);
            MAKE(l->w.v, p->size);
            MAKE(l->w.refractory, p->size);
            MAKE(l->w.pending, p->size);
            MAKE(l->sent, p->size);
        }
        if (p->kind == XYLO)
            MAKE(l->level, p->size);
        if (p->order)
            MAKE(l->bits, p->padded / 64);
    }
    return fine;
}

#undef MAKE

INLINE int64_t neuron_at(const Population *p, int64_t place)
{
    return p->order ? p->order[place] : place;
}

/* Where the ring has what a population sent `back` steps before the step that it is at. */
INLINE int64_t slot_of(const Population *p, const Local *l, int64_t back)
{
    const int64_t slot = l->slot - back;
    return slot < 0 ? slot + p->depth + 1 : slot > p->depth ? 0 : slot;
}

/* Put the spikes of the steps before this run into the ring. */
static void load_history(const Plan *plan, const Population *p, Local *l, int64_t sample)
{
    const int64_t depth = plan->history_depth;
    l->slot = p->depth; /* of the last step before this run */
    for (int64_t back = 1; back <= p->depth; back++) {
        const int64_t slot = slot_of(p, l, back - 1), row = ((depth - back) * plan->samples + sample) * p->size;
        int64_t found = 0;
        for (int64_t i = 0; p->history && back <= depth && i < p->size; i++) {
            const int64_t at = row + neuron_at(p, i);
            const int32_t count = p->has_payload ? ((const int32_t *)p->history)[at]
                                                 : ((const uint8_t *)p->history)[at];
            if (!count)
                continue;
            l->ring[slot * p->size + found] = (int32_t)i;
            if (l->ring_count)
                l->ring_count[slot * p->size + found] = count;
            found++;
        }
        l->ring_size[slot] = found;
    }
}

static void load(const Plan *plan, const Population *p, Local *l, int64_t sample)
{
    if (l->ring)
        load_history(plan, p, l, sample);
    if (p->kind == INPUT)
        return;
    const int64_t row = sample * p->size;
    if (p->is_fresh)
        for (int64_t i = 0; i < p->size; i++) {
            p->u[row + neuron_at(p, i)] = of(p->first_u, i);
            p->v[row + neuron_at(p, i)] = of(p->first_v, i);
        }
    l->narrow = p->narrow;
    l->busy_steps = 0;
    memset(l->sum, 0, (p->padded + BLOCK) * (p->is_wide ? 8 : 4));
    memset(l->n.busy, 0, p->padded);
    memset(p->sent + sample * plan->steps, 0, plan->steps * sizeof *p->sent);
    memset(p->active + row, 0, p->size * sizeof *p->active);
    p->out[sample].size = 0;
    if (l->narrow) {
        for (int64_t i = 0; i < p->size; i++) {
            l->n.u[i] = (int32_t)p->u[row + neuron_at(p, i)];
            l->n.v[i] = (int32_t)p->v[row + neuron_at(p, i)];
        }
        return;
    }
    for (int64_t i = 0; i < p->size; i++) {
        const int64_t at = row + neuron_at(p, i);
        l->w.u[i] = p->u[at];
        l->w.v[i] = p->v[at];
        l->w.refractory[i] = p->refractory ? p->refractory[at] : 0;
        l->w.pending[i] = p->pending ? p->pending[at] : 0;
    }
}

static void count_busy(const Population *p, Local *l, int64_t sample)
{
    for (int64_t i = 0; i < p->size; i++)
        p->active[sample * p->size + neuron_at(p, i)] += l->n.busy[i];
    memset(l->n.busy, 0, p->size);
    l->busy_steps = 0;
}

/* Write what a population sent in the last steps, for the run that goes on from here. */
static void store_history(const Plan *plan, const Population *p, int64_t sample)
{
    const int64_t width = p->has_payload ? 4 : 1;
    char *to = p->history_after;
    const int32_t *neurons = p->kind == INPUT ? p->given : p->out[sample].neuron;
    const int32_t *counts = p->kind == INPUT ? p->given_count : p->out[sample].count;
    int64_t end = p->kind == INPUT ? 0 : p->out[sample].size;
    for (int64_t back = 1; to && back <= plan->history_depth; back++) {
        const int64_t t = plan->steps - back;
        char *row = to + ((plan->history_depth - back) * plan->samples + sample) * p->size * width;
        memset(row, 0, p->size * width);
        if (t < 0) {
            const int64_t from = plan->history_depth + t;
            if (p->history && from >= 0)
                memcpy(row, (const char *)p->history +
                                (from * plan->samples + sample) * p->size * width,
                       p->size * width);
            continue;
        }
        int64_t begin;
        if (p->kind == INPUT) {
            begin = p->given_at[sample * (plan->steps + 1) + t];
            end = p->given_at[sample * (plan->steps + 1) + t + 1];
        } else {
            begin = end - p->sent[sample * plan->steps + t];
        }
        for (int64_t k = begin; k < end; k++) {
            const int32_t count = counts ? counts[k] : 1;
            if (p->has_payload)
                ((int32_t *)row)[neurons[k]] = count;
            else
                ((uint8_t *)row)[neurons[k]] = (uint8_t)count;
        }
        end = begin;
    }
}

/* Count the spikes of each neuron. */
static void count_spikes(const Plan *plan, const Population *p, int64_t sample)
{
    int64_t *spikes = p->spikes + sample * p->size;
    const int32_t *from = p->kind == INPUT ? p->given : p->out[sample].neuron;
    int64_t begin = 0, end = p->kind == INPUT ? 0 : p->out[sample].size;
    if (p->kind == INPUT) {
        begin = p->given_at[sample * (plan->steps + 1)];
        end = p->given_at[sample * (plan->steps + 1) + plan->steps];
    }
    memset(spikes, 0, p->size * sizeof *spikes);
    for (int64_t k = begin; k < end; k++)
        spikes[from[k]]++;
}

static void store(const Plan *plan, const Population *p, Local *l, int64_t sample)
{
    count_spikes(plan, p, sample);
    store_history(plan, p, sample);
    if (p->kind == INPUT)
        return;
    count_busy(p, l, sample);
    for (int64_t i = 0; i < p->size; i++) {
        const int64_t at = sample * p->size + neuron_at(p, i);
        p->u[at] = l->narrow ? l->n.u[i] : l->w.u[i];
        p->v[at] = l->narrow ? l->n.v[i] : l->w.v[i];
        if (!l->narrow && p->refractory)
            p->refractory[at] = l->w.refractory[i];
        if (!l->narrow && p->pending)
            p->pending[at] = l->w.pending[i];
    }
}

#endif
