/* One step of a neuron of each kind in 64 bits: the files of models/neurons and compiler/fixed.py again.
 *
 * Integers wrap and shift as NumPy's do (the compiler is told so: -fwrapv).
 */
#ifndef SPIKEPORT_NEURONS_H
#define SPIKEPORT_NEURONS_H

#include "clones.h"
#include "plan.h"

#define FRACTION 16 /* of Izhikevich's v and u */
#define PRECISE 24  /* of its coefficients */
#define IZHIKEVICH_LIMIT (((int64_t)1 << 12) << FRACTION)
#define LARGEST16 32767
#define LOWEST16 (-32768)

typedef struct {
    int64_t *u, *v, *refractory, *pending;
} Wide;

INLINE int64_t of(Parameter p, int64_t i) { return p.at[i * p.step]; }

INLINE int64_t clipped(int64_t value, int64_t least, int64_t most)
{
    return value < least ? least : value > most ? most : value;
}

INLINE int64_t lost(int64_t state, int64_t keep, int64_t bits)
{
    const int64_t size = state < 0 ? -state : state;
    const int64_t kept = (size * keep) >> bits;
    return state < 0 ? -kept : kept;
}

INLINE int64_t u_in_its_bits(const Population *p, int64_t total)
{
    const int64_t limit = (int64_t)1 << 23;
    if (p->overflow == UNLIMITED)
        return total;
    if (p->largest_state != limit - 1)
        return clipped(total, -p->largest_state, p->largest_state);
    const int64_t in32 = (int32_t)total;
    if (p->overflow == TWOS_COMPLEMENT)
        return (int64_t)((uint64_t)in32 << 40) >> 40;
    if (p->overflow == SATURATE)
        return clipped(in32, 1 - limit, limit - 1);
    if (in32 <= -limit)
        return in32 + 2 * limit;
    return in32 > limit ? in32 - 2 * limit : in32;
}

INLINE int64_t v_in_its_bits(const Population *p, int64_t moved)
{
    if (p->overflow == UNLIMITED)
        return moved;
    if (p->largest_state != ((int64_t)1 << 23) - 1)
        return clipped(moved, -p->largest_state, p->largest_state);
    return clipped((int32_t)moved, -p->largest_state, p->largest_state);
}

INLINE int64_t spikes_of(const Population *p, int64_t theta, int64_t v)
{
    if (!p->counts)
        return p->at_threshold ? v >= theta : v > theta;
    int64_t count = v / (theta > 1 ? theta : 1);
    if (!p->at_threshold)
        count -= count * theta == v;
    return clipped(count, 0, p->largest_message);
}

INLINE int64_t after_reset(const Population *p, int64_t theta, int64_t back, int64_t v,
                           int64_t spikes)
{
    if (p->reset == TO_VALUE)
        return spikes > 0 ? back : v;
    return p->reset == NONE ? v : v - spikes * theta;
}

/* Returns what is sent; adds to *left where u or v left its bits. */
INLINE int64_t step_membrane(const Population *p, Wide s, int64_t i, int64_t received,
                             int64_t bias, int64_t *left)
{
    const int64_t total = lost(s.u[i], of(p->keep_u, i), p->decay_bits) +
                          (int64_t)((uint64_t)received << p->align);
    const int64_t u = u_in_its_bits(p, total);
    const int64_t before = s.v[i];
    const int64_t moved = lost(before, of(p->keep_v, i), p->decay_bits) + u + bias;
    const int64_t inside = v_in_its_bits(p, moved);
    const int64_t theta = of(p->theta, i), back = of(p->v_reset, i);
    const int held = s.refractory[i] > 0;
    int64_t v = held ? before : inside;
    *left += (u != total) + (inside != moved);
    if (p->next_step)
        v = after_reset(p, theta, back, v, s.pending[i]);
    if (p->overflow != UNLIMITED && v < of(p->v_min, i))
        v = of(p->v_min, i);
    s.u[i] = u;
    s.refractory[i] = held ? s.refractory[i] - 1 : 0;
    if (!p->spiking) {
        s.v[i] = v;
        if (!p->has_message)
            return 0;
        const int64_t half = ((int64_t)1 << p->message_shift) >> 1;
        return clipped((v + half) >> p->message_shift, -p->largest_message, p->largest_message);
    }
    int64_t judged = v;
    if (p->reset == SUBTRACT_SNNTORCH && !p->next_step)
        judged = v - spikes_of(p, theta, before) * theta;
    const int64_t spikes = held ? 0 : spikes_of(p, theta, judged);
    if (p->next_step)
        s.pending[i] = spikes;
    else
        v = after_reset(p, theta, back, v, spikes);
    if (p->has_refractory && spikes > 0)
        s.refractory[i] = of(p->pause, i);
    s.v[i] = v;
    return spikes;
}

enum { DASH_SYN, DASH_MEM, XYLO_THRESHOLD, MOST_SPIKES };

INLINE int64_t dashed(int64_t state, int64_t dash)
{
    const int64_t shifted = state >> dash;
    return shifted == 0 && state > 0 ? 1 : shifted;
}

/* `received` is by how much the events of the step changed u, clipped one by one. */
INLINE int64_t step_xylo(const Population *p, Wide s, int64_t i, int64_t received, int64_t bias,
                         int64_t *left)
{
    const int64_t arrived = s.u[i] + received;
    const int64_t u = arrived - dashed(arrived, of(p->other[DASH_SYN], i));
    const int64_t before = s.v[i];
    int64_t loss = -dashed(before, of(p->other[DASH_MEM], i));
    if (loss > LARGEST16)
        loss = LOWEST16; /* the opposite of -32768 in 16 bits */
    const int64_t seen = u + loss;
    const int64_t seen16 = clipped(seen, LOWEST16, LARGEST16);
    const int64_t moved = seen16 + bias;
    const int64_t moved16 = clipped(moved, LOWEST16, LARGEST16);
    const int64_t total = before + moved16;
    const int64_t v = clipped(total, LOWEST16, LARGEST16);
    *left += seen != seen16 || moved != moved16 || total != v;
    const int64_t theta = of(p->other[XYLO_THRESHOLD], i);
    const int64_t spikes = clipped(v / theta, 0, of(p->other[MOST_SPIKES], i));
    s.u[i] = u;
    s.v[i] = v - spikes * theta;
    return spikes;
}

enum { QUADRATIC, LINEAR, STEP, RECOVERY, B, C, D, IZHIKEVICH_THRESHOLD };

INLINE int64_t step_izhikevich(const Population *p, Wide s, int64_t i, int64_t received,
                               int64_t bias, int64_t *left)
{
    const int64_t v = s.v[i], u = s.u[i];
    const int64_t square = (v * v) >> FRACTION;
    const int64_t step = of(p->other[STEP], i);
    const int64_t slope = of(p->other[QUADRATIC], i) * square + of(p->other[LINEAR], i) * v +
                          step * ((int64_t)140 << FRACTION);
    const int64_t total = v + ((slope - step * u) >> PRECISE) +
                          (int64_t)((uint64_t)received << p->align) + bias;
    const int64_t aim = (of(p->other[B], i) * v) >> PRECISE;
    const int64_t turned = u + ((of(p->other[RECOVERY], i) * (aim - u)) >> PRECISE);
    const int64_t moved = clipped(total, -p->largest_state, p->largest_state);
    const int64_t theta = of(p->other[IZHIKEVICH_THRESHOLD], i);
    const int64_t spikes = p->at_threshold ? moved >= theta : moved > theta;
    const int64_t recovered = spikes ? turned + of(p->other[D], i) : turned;
    s.v[i] = spikes ? of(p->other[C], i) : moved;
    s.u[i] = clipped(recovered, -p->largest_state, p->largest_state);
    *left += (moved != total) + (s.u[i] != recovered);
    return spikes;
}

#endif
