/* The detailed model of a mesh, row by row: compiler/measure/mesh_time.py in C, where every
 * operation is explained; sums are made in the same order, so that both give the same bits.
 */
#ifndef SPIKEPORT_MESH_H
#define SPIKEPORT_MESH_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define HOST -1
#define LARGEST_MESH (1 << 24) /* tiles */

typedef struct {
    double time;
    int64_t tie; /* of two at the same time the lower one comes first */
    int64_t packet;
} Due;

typedef struct {
    Due *items;
    int64_t size;
} Queue;

/* What stands at a port or on a link; nothing where it was counted in an earlier epoch. */
typedef struct {
    double load;
    int64_t epoch;
} Place;

typedef struct {
    int64_t rows, packets, cores, buffer, columns, lines;
    const int64_t *offsets;
    const int32_t *source, *target, *x, *y;
    const double *wait, *serve, *rest, *hop; /* hop: along x, along y */
    double *found;                           /* (rows, 5) */
    uint8_t *held;
    /* of a row */
    double *busy, *late;
    Place *port, *link;
    int64_t epoch;
    Queue leaving, flying;
} MeshRun;

static int sooner(const Due *a, const Due *b)
{
    return a->time < b->time || (a->time == b->time && a->tie < b->tie);
}

static void push(Queue *queue, Due due)
{
    int64_t at = queue->size++;
    while (at && sooner(&due, &queue->items[(at - 1) / 2])) {
        queue->items[at] = queue->items[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    queue->items[at] = due;
}

static Due pop(Queue *queue)
{
    const Due top = queue->items[0], due = queue->items[--queue->size];
    int64_t at = 0;
    for (;;) {
        int64_t next = 2 * at + 1;
        if (next >= queue->size)
            break;
        if (next + 1 < queue->size && sooner(&queue->items[next + 1], &queue->items[next]))
            next++;
        if (!sooner(&queue->items[next], &due))
            break;
        queue->items[at] = queue->items[next];
        at = next;
    }
    if (queue->size)
        queue->items[at] = due;
    return top;
}

/* Add `share` to a place; returns what stood there before. */
static double put(Place *place, int64_t epoch, double share)
{
    const double before = place->epoch == epoch ? place->load : 0.0;
    *place = (Place){before + share, epoch};
    return before;
}

/* Add `share` to the port of a packet's core and to the links of its way, x before y; returns the
 * sum of what stood there before. */
static double along(const MeshRun *run, int64_t packet, double share)
{
    const int32_t core = run->source[packet], target = run->target[packet];
    const int64_t x = run->x[core], y = run->y[core], to_x = run->x[target], to_y = run->y[target];
    const int64_t east = to_x > x ? 1 : -1, north = to_y > y ? 1 : -1, lines = run->lines;
    double crowd = put(&run->port[core], run->epoch, share);
    int64_t link = 4 * (x * lines + y) + (to_x > x ? 0 : 1);
    for (int64_t left = llabs(to_x - x); left; left--, link += 4 * lines * east)
        crowd += put(&run->link[link], run->epoch, share);
    link = 4 * (to_x * lines + y) + (to_y > y ? 2 : 3);
    for (int64_t left = llabs(to_y - y); left; left--, link += 4 * north)
        crowd += put(&run->link[link], run->epoch, share);
    return crowd;
}

static void ends_at(double *last, double seconds, double compute, double traffic, double memory,
                    double core)
{
    if (!(seconds > last[0]))
        return;
    last[0] = seconds;
    last[1] = compute;
    last[2] = traffic;
    last[3] = memory;
    last[4] = core;
}

/* Raising run->epoch empties every port and link at once. */
static void time_row(MeshRun *run, int64_t row)
{
    int64_t at = run->offsets[row];
    const int64_t end = run->offsets[row + 1];
    const double *rest = run->rest + row * run->cores;
    double *last = run->found + 5 * row, serving = 0.0;
    memset(last, 0, 4 * sizeof *last);
    last[4] = -1.0;
    memset(run->busy, 0, run->cores * sizeof *run->busy);
    memset(run->late, 0, run->cores * sizeof *run->late);
    run->epoch++;
    run->leaving.size = run->flying.size = 0;
    for (; at < end && run->source[at] == HOST; at++) {
        double *busy = &run->busy[run->target[at]];
        *busy += run->serve[at];
        ends_at(last, *busy, 0.0, 0.0, *busy, run->target[at]);
    }
    int64_t core = 0;
    for (; core < run->cores; core++) {
        const int64_t first = at;
        while (at < end && run->source[at] == core)
            at++;
        if (first < at)
            push(&run->leaving, (Due){run->wait[first], core, first});
        else
            ends_at(last, rest[core], rest[core], 0.0, 0.0, core);
    }
    while (run->leaving.size) {
        const Due due = pop(&run->leaving);
        const int64_t packet = due.packet;
        int landed = 0;
        while (run->flying.size && run->flying.items[0].time <= due.time) {
            const int64_t there = pop(&run->flying).packet;
            const int32_t a = run->source[there], b = run->target[there];
            const int64_t links = llabs((int64_t)run->x[b] - run->x[a]) +
                                  llabs((int64_t)run->y[b] - run->y[a]);
            along(run, there, -1.0 / (links + 2));
            serving -= run->serve[there];
            landed = 1;
        }
        if (!run->flying.size && landed) {
            serving = 0.0;
            run->epoch++;
        }
        const int32_t from = run->source[packet], target = run->target[packet];
        const int64_t wide = llabs((int64_t)run->x[target] - run->x[from]),
                      high = llabs((int64_t)run->y[target] - run->y[from]), links = wide + high;
        const double mean = run->flying.size ? serving / run->flying.size : 0.0;
        const double crowd = along(run, packet, 1.0 / (links + 2));
        const double room = (double)(run->buffer * (links + 1));
        const double wait = crowd > room ? (crowd - room) * mean : 0.0;
        run->held[packet] = crowd > room;
        run->late[from] += wait;
        const double sent = due.time + wait;
        const double x_time = wide * run->hop[0], y_time = high * run->hop[1];
        const double hops = x_time + y_time, slowed = crowd * mean / (links + 1);
        const double travel = slowed > hops ? slowed : hops;
        const double arrived = sent + travel;
        const double begins = run->busy[target] > arrived ? run->busy[target] : arrived;
        const double done = begins + run->serve[packet];
        run->busy[target] = done;
        serving += run->serve[packet];
        push(&run->flying, (Due){begins, packet, packet});
        ends_at(last, done, sent - run->late[from], run->late[from] + travel, done - arrived,
                target);
        if (packet + 1 < end && run->source[packet + 1] == from)
            push(&run->leaving, (Due){sent + run->wait[packet + 1], from, packet + 1});
        else
            ends_at(last, sent + rest[from], sent + rest[from] - run->late[from], run->late[from],
                    0.0, from);
    }
}

/* Return why a run cannot be computed, or NULL. */
static const char *trouble_of(const MeshRun *run)
{
    if (run->offsets[0] != 0 || run->offsets[run->rows] != run->packets)
        return "the offsets do not cover the packets";
    for (int64_t row = 0; row < run->rows; row++) {
        if (run->offsets[row] > run->offsets[row + 1] || run->offsets[row + 1] > run->packets)
            return "the offsets fall";
        for (int64_t at = run->offsets[row]; at < run->offsets[row + 1]; at++) {
            if (run->source[at] < HOST || run->source[at] >= run->cores || run->target[at] < 0 ||
                run->target[at] >= run->cores)
                return "a packet is of a core that is not there";
            if (at > run->offsets[row] && run->source[at] < run->source[at - 1])
                return "the packets of a row are not in the order of their cores";
        }
    }
    for (int64_t core = 0; core < run->cores; core++)
        if (run->x[core] < 0 || run->y[core] < 0 || run->x[core] >= LARGEST_MESH ||
            run->y[core] >= LARGEST_MESH)
            return "a core is outside of the mesh";
    return NULL;
}

#endif
