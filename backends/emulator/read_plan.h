/* From the dicts of layout.py and native.py to the structs of plan.h.
 *
 * Every array is checked against the sizes here before a kernel sees it; indices inside arrays
 * are layout.py's promise.
 */
#ifndef SPIKEPORT_READ_PLAN_H
#define SPIKEPORT_READ_PLAN_H

#include "neurons.h"
#include "plan.h"
#include "synapses.h"

/* Buffers that are held until the run has ended. */
typedef struct {
    Py_buffer *views;
    int64_t size, room;
} Held;

static int64_t number(PyObject *from, const char *name)
{
    PyObject *value = PyDict_GetItemString(from, name);
    if (!value) {
        PyErr_Format(PyExc_KeyError, "the plan has no %s", name);
        return 0;
    }
    return PyLong_AsLongLong(value);
}

/* Return the bytes of an array of `count` items of `width` bytes; NULL where it is None. */
static void *array(Held *held, PyObject *from, const char *name, int64_t width, int64_t count,
                   int writable)
{
    PyObject *value = PyDict_GetItemString(from, name);
    if (PyErr_Occurred() || !value || value == Py_None)
        return NULL;
    if (held->size == held->room) {
        const int64_t room = 2 * held->room + 64;
        Py_buffer *views = PyMem_Realloc(held->views, room * sizeof *views);
        if (!views) {
            PyErr_NoMemory();
            return NULL;
        }
        held->views = views;
        held->room = room;
    }
    Py_buffer *view = &held->views[held->size];
    if (PyObject_GetBuffer(value, view, writable ? PyBUF_CONTIG : PyBUF_CONTIG_RO))
        return NULL;
    held->size++;
    if (view->itemsize != width || view->len < width * count) {
        PyErr_Format(PyExc_ValueError, "%s holds %zd bytes in items of %zd, not %lld of %lld", name,
                     view->len, view->itemsize, (long long)(width * count), (long long)width);
        return NULL;
    }
    return view->len ? view->buf : "";
}

static int64_t length(const Held *held) { return held->views[held->size - 1].len; }

static Parameter parameter(Held *held, PyObject *from, const char *name, int64_t size)
{
    Parameter p = {array(held, from, name, 8, 1, 0), 0};
    if (p.at && length(held) > 8) {
        p.step = 1;
        if (length(held) != 8 * size)
            PyErr_Format(PyExc_ValueError, "%s is not for %lld neurons", name, (long long)size);
    }
    return p;
}

static void read_cell(Held *held, PyObject *from, Population *p)
{
    p->overflow = (enum Overflow)number(from, "overflow");
    p->align = number(from, "align");
    p->largest_state = number(from, "largest_state");
    p->at_threshold = (int)number(from, "at_threshold");
    p->bias = parameter(held, from, "bias", p->size);
    p->first_u = parameter(held, from, "first_u", p->size);
    p->first_v = parameter(held, from, "first_v", p->size);
    if (!PyErr_Occurred() && (!p->bias.at || !p->first_u.at || !p->first_v.at))
        PyErr_SetString(PyExc_KeyError, "bias, first_u or first_v");
    if (p->kind != MEMBRANE) {
        static const char *const names[] = {"other0", "other1", "other2", "other3", "other4",
                                            "other5", "other6", "other7", "other8", "other9"};
        const int64_t wanted = p->kind == XYLO ? MOST_SPIKES + 1 : IZHIKEVICH_THRESHOLD + 1;
        for (int64_t k = 0; k < wanted; k++) {
            p->other[k] = parameter(held, from, names[k], p->size);
            if (!PyErr_Occurred() && !p->other[k].at)
                PyErr_SetString(PyExc_KeyError, names[k]);
        }
        return;
    }
    p->reset = (enum Reset)number(from, "reset");
    p->next_step = (int)number(from, "next_step");
    p->counts = (int)number(from, "counts");
    p->spiking = (int)number(from, "spiking");
    p->has_refractory = (int)number(from, "has_refractory");
    p->has_message = (int)number(from, "has_message");
    p->decay_bits = number(from, "decay_bits");
    p->largest_message = number(from, "largest_message");
    p->message_shift = number(from, "message_shift");
    p->keep_u = parameter(held, from, "keep_u", p->size);
    p->keep_v = parameter(held, from, "keep_v", p->size);
    p->theta = parameter(held, from, "theta", p->size);
    p->v_reset = parameter(held, from, "v_reset", p->size);
    p->v_min = parameter(held, from, "v_min", p->size);
    p->pause = parameter(held, from, "pause", p->size);
    if (!PyErr_Occurred() && (!p->keep_u.at || !p->keep_v.at || !p->theta.at || !p->v_reset.at ||
                              !p->v_min.at || !p->pause.at))
        PyErr_SetString(PyExc_KeyError, "a parameter of a membrane is missing");
    p->narrow = (int)number(from, "narrow");
    p->uniform = (int)number(from, "uniform");
    p->narrow_overflow = (enum Overflow)number(from, "narrow_overflow");
    static const char *const names[] = {"narrow_keep_u", "narrow_keep_v", "narrow_theta",
                                        "narrow_back",   "narrow_v_min",  "narrow_bias"};
    for (int k = 0; k < 6 && p->narrow; k++) {
        p->narrow_parameters[k] = array(held, from, names[k], 4, p->uniform ? 1 : p->size, 0);
        if (!PyErr_Occurred() && !p->narrow_parameters[k])
            PyErr_SetString(PyExc_KeyError, names[k]);
    }
}

static void read_cores(const Plan *plan, Held *held, PyObject *from, Population *p)
{
    p->segment_end = array(held, from, "segment_end", 4, 0, 0);
    p->segments = p->segment_end ? length(held) / 4 : 0;
    p->segment_core = array(held, from, "segment_core", 4, p->segments, 0);
    p->reach = array(held, from, "reach", 2, p->size * plan->cores_padded, 0);
    p->reach_first = array(held, from, "reach_first", 8, p->size + 1, 0);
    const int64_t messages = p->reach_first ? p->reach_first[p->size] : 0;
    p->reach_core = array(held, from, "reach_core", 4, messages, 0);
    p->reach_synapses = array(held, from, "reach_synapses", 4, messages, 0);
    p->fan_out = array(held, from, "fan_out", 4, p->size, 0);
}

static void read_population(Plan *plan, Held *held, PyObject *from, void *into)
{
    Population *p = into;
    p->kind = (enum Kind)number(from, "kind");
    p->size = number(from, "size");
    p->padded = (p->size + 63) / 64 * 64;
    p->depth = number(from, "depth");
    p->has_payload = (int)number(from, "has_payload");
    p->start_step = number(from, "start_step");
    p->slow = number(from, "slow");
    p->into = number(from, "into");
    p->into_end = number(from, "into_end");
    p->is_wide = (int)number(from, "is_wide");
    p->up = number(from, "up");
    p->wraps = (int)number(from, "wraps");
    if (PyErr_Occurred())
        return;
    p->order = array(held, from, "order", 4, p->size, 0);
    p->place = array(held, from, "place", 4, p->size, 0);
    read_cores(plan, held, from, p);
    if (p->kind != INPUT)
        read_cell(held, from, p);
}

/* Add the buffers of a run to a population. */
static void read_buffers(Plan *plan, Held *held, PyObject *from, Population *p)
{
    const int64_t cells = plan->samples * p->size, width = p->has_payload ? 4 : 1;
    p->history = array(held, from, "history", width, plan->history_depth * cells, 0);
    p->history_after = array(held, from, "history_after", width, plan->history_depth * cells, 1);
    p->spikes = array(held, from, "spikes", 8, cells, 1);
    if (p->kind == INPUT) {
        p->given_at = array(held, from, "given_at", 8, plan->samples * (plan->steps + 1), 0);
        p->given = array(held, from, "given", 4, 0, 0);
        p->given_count = array(held, from, "given_count", 4, 0, 0);
        if (!PyErr_Occurred() && (!p->spikes || !p->given_at || !p->given))
            PyErr_SetString(PyExc_KeyError, "an input has no events");
        return;
    }
    p->narrow = p->narrow && number(from, "narrow");
    p->is_fresh = (int)number(from, "is_fresh");
    p->host = array(held, from, "host", 8, cells * plan->steps, 0);
    p->u = array(held, from, "u", 8, cells, 1);
    p->v = array(held, from, "v", 8, cells, 1);
    p->refractory = array(held, from, "refractory", 8, cells, 1);
    p->pending = array(held, from, "pending", 8, cells, 1);
    p->active = array(held, from, "active", 8, cells, 1);
    p->offsets = array(held, from, "offsets", 8, plan->samples * plan->steps + 1, 1);
    p->sent = p->offsets ? p->offsets + 1 : NULL;
    if (!PyErr_Occurred() && (!p->u || !p->v || !p->active || !p->sent || !p->spikes))
        PyErr_SetString(PyExc_KeyError, "a buffer of a population is missing");
    p->out = PyMem_Calloc(plan->samples + 1, sizeof *p->out);
    if (!p->out)
        PyErr_NoMemory();
}

static void read_projection(Plan *plan, Held *held, PyObject *from, void *into)
{
    Projection *p = into;
    p->pre = number(from, "pre");
    p->post = number(from, "post");
    p->delay = number(from, "delay");
    p->format = (enum Format)number(from, "format");
    p->stride = number(from, "stride");
    p->is_unsigned = (int)number(from, "is_unsigned");
    p->lowest = (int32_t)number(from, "lowest");
    p->factor = (int32_t)number(from, "factor");
    p->shift = number(from, "shift");
    p->own_sum = (int)number(from, "own_sum");
    p->wraps = (int)number(from, "wraps");
    if (PyErr_Occurred())
        return;
    if (p->pre < 0 || p->pre >= plan->population_count || p->post < 0 ||
        p->post >= plan->population_count) {
        PyErr_SetString(PyExc_ValueError, "a projection ends nowhere");
        return;
    }
    const int64_t size = plan->populations[p->pre].size;
    if (p->format == DENSE || p->format == ROWS) {
        if (p->stride > plan->populations[p->post].padded)
            PyErr_SetString(PyExc_ValueError, "rows are longer than their population");
        p->weights = array(held, from, "weights", p->format == DENSE ? 1 : 4, size * p->stride, 0);
        return;
    }
    p->first = array(held, from, "first", 8, size + 1, 0);
    if (!p->first)
        return;
    const int64_t count = p->first[size];
    const int64_t width = p->format == BLOCKS ? 1 : 4;
    p->weights = array(held, from, "weights", width, p->format == BLOCKS ? BLOCK * count : count, 0);
    if (p->format != PACKED)
        p->targets = array(held, from, "targets", 4, count, 0);
}

static void read_probe(Plan *plan, Held *held, PyObject *from, void *into)
{
    Probe *p = into;
    p->population = number(from, "population");
    p->variable = number(from, "variable");
    p->size = number(from, "size");
    p->is_wide = (int)number(from, "is_wide");
    p->places = array(held, from, "places", 4, p->size, 0);
    p->out = array(held, from, "out", p->is_wide ? 8 : 4, plan->samples * plan->steps * p->size, 1);
}

/* Read a list of dicts into an array of structs, which *made points to. */
static void read_list(Plan *plan, Held *held, PyObject *list, size_t width, int64_t *count,
                      void **made, void (*read)(Plan *, Held *, PyObject *, void *))
{
    *made = PyMem_Calloc(PyList_GET_SIZE(list) + 1, width);
    if (!*made) {
        PyErr_NoMemory();
        return;
    }
    *count = PyList_GET_SIZE(list);
    for (int64_t i = 0; i < *count && !PyErr_Occurred(); i++)
        read(plan, held, PyList_GET_ITEM(list, i), (char *)*made + i * width);
}

static void let_go(Held *held)
{
    for (int64_t i = 0; i < held->size; i++)
        PyBuffer_Release(&held->views[i]);
    PyMem_Free(held->views);
}

#endif
