/* What the engine runs: populations, projections, and the buffers of a run.
 *
 * Everything here is made by layout.py and native.py and read by read_plan.h; the kernels trust
 * it. Neurons are numbered in the engine's own order (`order` leads back): targets of one source
 * lie together.
 */
#ifndef SPIKEPORT_PLAN_H
#define SPIKEPORT_PLAN_H

#include <stdint.h>

enum Kind { INPUT, MEMBRANE, XYLO, IZHIKEVICH };
enum Format { DENSE, BLOCKS, PACKED, WIDE, ROWS }; /* see synapses.h */
enum Overflow { LAVA, TWOS_COMPLEMENT, SATURATE, UNLIMITED, NEVER };
enum Reset { TO_VALUE, SUBTRACT, NONE, SUBTRACT_SNNTORCH };

/* A parameter of every neuron: one value for all (step 0), or one for each (step 1). */
typedef struct {
    const int64_t *at;
    int64_t step;
} Parameter;

typedef struct {
    int64_t pre, post, delay;
    enum Format format;
    int64_t stride;            /* DENSE, ROWS: targets of a row, with padding */
    const void *weights;       /* int8, uint8, int32, or packed words */
    const int32_t *targets;    /* BLOCKS: first target of each block; WIDE: target of each synapse */
    const int64_t *first;      /* where a source's synapses or blocks begin, (pre + 1) */
    int is_unsigned;           /* BLOCKS, PACKED: weights are 0 .. 255 */
    int32_t lowest;            /* DENSE: the weight that is stored as 0 */
    int32_t factor;            /* a stored weight is multiplied by it */
    int64_t shift;             /* of the sum of a step, by its own buffer; 0: none */
    int own_sum;               /* summed apart, then wrapped and shifted */
    int wraps;                 /* that sum wraps at 32 bits */
} Projection;

typedef struct {
    int32_t *neuron, *count;
    int64_t size, room;
} Spikes;

typedef struct {
    enum Kind kind;
    int64_t size, padded, depth, start_step, slow;
    int has_payload;           /* messages carry values other than 1 */
    const int32_t *order, *place; /* place -> neuron and back; NULL where they are equal */
    int64_t into, into_end;    /* its projections */
    int is_wide;               /* sums are int64 */
    int64_t up;                /* received = sum << up */
    int wraps;                 /* what is received wraps at 32 bits */
    /* integrate and fire */
    enum Overflow overflow;
    enum Reset reset;
    int next_step, counts, at_threshold, spiking, has_refractory, has_message;
    int64_t align, decay_bits, largest_state, largest_message, message_shift;
    Parameter keep_u, keep_v, theta, v_reset, v_min, bias, pause;
    int narrow;                /* membrane32.h may run it */
    enum Overflow narrow_overflow;
    int uniform;
    const int32_t *narrow_parameters[6]; /* keep_u keep_v theta back v_min bias, each (padded) */
    /* other kinds: their parameters in the order of neurons.h */
    Parameter other[10];
    const int64_t *host;       /* bias registers written by the host, (samples, steps, size) */
    /* cores: places are sorted by core */
    int64_t segments;
    const int32_t *segment_end, *segment_core;
    const uint16_t *reach;     /* synapses on each core, (size, cores padded), or NULL */
    const int64_t *reach_first; /* else a list for each neuron */
    const int32_t *reach_core, *reach_synapses;
    const int32_t *fan_out;    /* cores that a neuron sends to */
    /* a run */
    const int32_t *given, *given_count;
    const int64_t *given_at;   /* (samples, steps + 1) */
    int64_t *u, *v, *refractory, *pending; /* (samples, size), in and out */
    int is_fresh;              /* u and v begin at: */
    Parameter first_u, first_v;
    const void *history;       /* (depth of the state, samples, size) of uint8, or int32 where */
    void *history_after;       /* messages carry values; NULL before the first step */
    int64_t *spikes, *active;  /* (samples, size) */
    int64_t *offsets;          /* (samples * steps + 1): */
    int64_t *sent;             /* behind its first, spikes in each step, then their running sum */
    Spikes *out;               /* (samples) */
} Population;

typedef struct {
    int64_t population, variable; /* 0: u, 1: v */
    int64_t size;
    const int32_t *places;
    int is_wide;
    void *out;                 /* (samples, steps, size) of int32 or int64 */
} Probe;

enum { PACKETS_IN, SYNAPTIC_OPS, SPIKES_OUT, PACKETS_OUT, SOMA_UPDATES, CORE_COUNTERS };

typedef struct {
    int64_t samples, steps, first, threads;
    int64_t history_depth;
    Population *populations;
    int64_t population_count;
    Projection *projections;
    int64_t projection_count;
    Probe *probes;
    int64_t probe_count;
    int64_t cores, cores_padded;
    int32_t *core_counters[CORE_COUNTERS]; /* each (samples, steps, cores), or NULL */
    int64_t *overflows;        /* (populations) */
    int64_t *done;             /* steps taken by each thread */
    int64_t next_sample;
    int64_t room;              /* bytes that spikes may still take */
    int stop, failed;
} Plan;

#endif
