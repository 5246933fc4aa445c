/* The integrate-and-fire step in 32 bits, in one pass: decays, input, overflow, clip, threshold,
 * reset, and the sums set back to zero.
 *
 * For states of 24 bits and decays of 12, plain spikes, a reset in the same step and no pause.
 * parameters.py proves that what is received, aligned, stays below 2**30, and often that u cannot
 * leave its bits at all. Lava's rule lets u leave 24 bits, though never 32; what wraps at 32 bits
 * here wraps there in Lava too, and is never taken for a value that did not overflow: with
 * |u| < 2**31, 2**30 received and a bias below 2**29, no sum is within 2**23 of 2**32.
 */
#ifndef SPIKEPORT_MEMBRANE32_H
#define SPIKEPORT_MEMBRANE32_H

#include <stdlib.h>
#include "clones.h"
#include "plan.h"

#define STATE_LIMIT (1 << 23)

typedef struct {
    int32_t *u, *v, *sum;
    uint8_t *spiked, *busy;
} Narrow;

typedef struct {
    int64_t active, overflows;
} Counts;

/* sign(x) * (|x| * keep >> 12) without 64 bits: |x| <= 2**31 and keep < 4096, or |x| < 2**24. */
INLINE int32_t decayed(int32_t x, int32_t keep)
{
    const uint32_t m = x < 0 ? 0u - (uint32_t)x : (uint32_t)x;
    const int32_t kept = (int32_t)((m >> 12) * (uint32_t)keep + (((m & 4095) * (uint32_t)keep) >> 12));
    return x < 0 ? -kept : kept;
}

INLINE Counts narrow_step(const Population *p, Narrow s, int64_t from, int64_t to,
                          enum Overflow overflow, int subtracts, int uniform)
{
    const int32_t *const *q = p->narrow_parameters;
    const int32_t *restrict keeps_u = q[0], *restrict keeps_v = q[1], *restrict thetas = q[2],
                  *restrict backs = q[3], *restrict floors = q[4], *restrict biases = q[5];
    const int32_t keep_u = keeps_u[0], keep_v = keeps_v[0], theta = thetas[0], back = backs[0],
                  least = floors[0], bias = biases[0];
    int32_t *restrict us = s.u, *restrict vs = s.v, *restrict sums = s.sum;
    uint8_t *restrict spikes = s.spiked, *restrict steps = s.busy;
    const int64_t up = p->up + p->align;
    int32_t active = 0, overflows = 0;
#pragma GCC ivdep /* the arrays are apart */
    for (int64_t i = from; i < to; i++) {
        const int32_t drive = uniform ? bias : biases[i];
        const int32_t was_u = us[i], was_v = vs[i], sum = sums[i];
        const int32_t busy = (was_u | was_v | sum | drive) != 0;
        const int32_t aligned = (int32_t)((uint32_t)sum << up);
        const int32_t total = decayed(was_u, uniform ? keep_u : keeps_u[i]) + aligned;
        int32_t u = total;
        if (overflow == NEVER) {
            ; /* proved: u stays inside its bits */
        } else if (overflow == LAVA) {
            u = total > STATE_LIMIT ? total - 2 * STATE_LIMIT : total;
            u = total <= -STATE_LIMIT ? total + 2 * STATE_LIMIT : u;
        } else if (overflow == TWOS_COMPLEMENT) {
            u = (int32_t)((uint32_t)total << 8) >> 8;
        } else {
            u = total > STATE_LIMIT - 1 ? STATE_LIMIT - 1 : total;
            u = total < 1 - STATE_LIMIT ? 1 - STATE_LIMIT : u;
        }
        const int32_t moved = decayed(was_v, uniform ? keep_v : keeps_v[i]) + u + drive;
        int32_t v = moved > STATE_LIMIT - 1 ? STATE_LIMIT - 1 : moved;
        v = moved < 1 - STATE_LIMIT ? 1 - STATE_LIMIT : v;
        overflows += (overflow != NEVER && u != total) + (v != moved);
        const int32_t floor = uniform ? least : floors[i];
        v = v < floor ? floor : v;
        const int32_t spiked = v > (uniform ? theta : thetas[i]);
        const int32_t to_level = uniform ? back : backs[i];
        us[i] = u;
        vs[i] = spiked ? (subtracts ? v - to_level : to_level) : v;
        sums[i] = 0;
        spikes[i] = (uint8_t)spiked;
        steps[i] += (uint8_t)busy;
        active += busy;
    }
    return (Counts){active, overflows};
}

#define CASE(OVERFLOW, SUBTRACTS, UNIFORM)                                          \
    if (p->narrow_overflow == OVERFLOW && subtracts == SUBTRACTS && p->uniform == UNIFORM) \
        return narrow_step(p, s, from, to, OVERFLOW, SUBTRACTS, UNIFORM);

/* Step the places from .. to of a population. */
CLONED Counts step_narrow(const Population *p, Narrow s, int64_t from, int64_t to)
{
    const int subtracts = p->reset != TO_VALUE;
    CASE(NEVER, 0, 1)
    CASE(NEVER, 1, 1)
    CASE(NEVER, 0, 0)
    CASE(NEVER, 1, 0)
    CASE(LAVA, 0, 1)
    CASE(LAVA, 1, 1)
    CASE(LAVA, 0, 0)
    CASE(LAVA, 1, 0)
    CASE(TWOS_COMPLEMENT, 0, 1)
    CASE(TWOS_COMPLEMENT, 1, 1)
    CASE(TWOS_COMPLEMENT, 0, 0)
    CASE(TWOS_COMPLEMENT, 1, 0)
    CASE(SATURATE, 0, 1)
    CASE(SATURATE, 1, 1)
    CASE(SATURATE, 0, 0)
    return narrow_step(p, s, from, to, SATURATE, 1, 0);
}
#undef CASE

#endif
