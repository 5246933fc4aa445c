/* spikeport.backends._engine: all steps and samples of a run in one native call.
 *
 * prepare() takes what layout.py made, dicts of numbers and arrays, and keeps it as a capsule;
 * run() adds the buffers of a run, and comes back to Python now and then to show how far it is.
 */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <time.h>
#include "mesh.h"
#include "read_plan.h"
#include "sample.h"

#if !defined(_WIN32)
#include <pthread.h>
#define HAS_THREADS 1
#else
#define HAS_THREADS 0
#endif

#define TICK_SECONDS 0.05

typedef struct {
    Plan plan;
    Held held;
    PyObject *progress;
    PyThreadState *thread;
    double last;
} Run;

static double now(void)
{
    struct timespec at;
#ifdef CLOCK_MONOTONIC
    clock_gettime(CLOCK_MONOTONIC, &at);
#else
    timespec_get(&at, TIME_UTC);
#endif
    return at.tv_sec + 1e-9 * at.tv_nsec;
}

/* A Program that is ready to run: its plan without the buffers of a run. */
typedef struct {
    Plan plan;
    Held held;
} Prepared;

#define CAPSULE "spikeport.backends._engine.prepared"

static void forget(PyObject *capsule)
{
    Prepared *prepared = PyCapsule_GetPointer(capsule, CAPSULE);
    PyMem_Free(prepared->plan.populations);
    PyMem_Free(prepared->plan.projections);
    let_go(&prepared->held);
    PyMem_Free(prepared);
}

static PyObject *prepare_plan(PyObject *module, PyObject *args)
{
    PyObject *populations, *projections;
    long long cores;
    (void)module;
    if (!PyArg_ParseTuple(args, "O!O!L", &PyList_Type, &populations, &PyList_Type, &projections,
                          &cores))
        return NULL;
    Prepared *made = PyMem_Calloc(1, sizeof *made);
    if (!made)
        return PyErr_NoMemory();
    PyObject *capsule = PyCapsule_New(made, CAPSULE, forget);
    if (!capsule) {
        PyMem_Free(made);
        return NULL;
    }
    Plan *plan = &made->plan;
    plan->cores = cores;
    plan->cores_padded = (cores + 15) / 16 * 16;
    read_list(plan, &made->held, populations, sizeof(Population), &plan->population_count,
              (void **)&plan->populations, read_population);
    if (!PyErr_Occurred())
        read_list(plan, &made->held, projections, sizeof(Projection), &plan->projection_count,
                  (void **)&plan->projections, read_projection);
    if (PyErr_Occurred())
        Py_CLEAR(capsule);
    return capsule;
}

static void read_run(Run *run, const Prepared *prepared, PyObject *from)
{
    Plan *plan = &run->plan;
    *plan = prepared->plan;
    plan->populations = NULL;
    plan->samples = number(from, "samples");
    plan->steps = number(from, "steps");
    plan->first = number(from, "first");
    plan->threads = number(from, "threads");
    plan->history_depth = number(from, "history_depth");
    plan->room = number(from, "room");
    PyObject *buffers = PyDict_GetItemString(from, "populations");
    PyObject *probes = PyDict_GetItemString(from, "probes");
    if (PyErr_Occurred() || !buffers || !PyList_Check(buffers) || !probes || !PyList_Check(probes) ||
        PyList_GET_SIZE(buffers) != plan->population_count) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "the run has other populations than were prepared");
        return;
    }
    static const char *const names[] = {"packets_in", "synaptic_ops", "spikes_out", "packets_out",
                                        "soma_updates"};
    for (int k = 0; k < CORE_COUNTERS && plan->cores; k++)
        plan->core_counters[k] = array(&run->held, from, names[k], 4,
                                       plan->samples * plan->steps * plan->cores, 1);
    for (int k = 1; k < CORE_COUNTERS && !PyErr_Occurred(); k++)
        if (!plan->core_counters[k] != !plan->core_counters[0])
            PyErr_SetString(PyExc_KeyError, names[k]);
    plan->populations = PyMem_Malloc((plan->population_count + 1) * sizeof(Population));
    plan->done = PyMem_Calloc(plan->threads + 1, sizeof *plan->done);
    if (!plan->populations || !plan->done) {
        PyErr_NoMemory();
        return;
    }
    memcpy(plan->populations, prepared->plan.populations,
           plan->population_count * sizeof(Population));
    for (int64_t i = 0; i < plan->population_count && !PyErr_Occurred(); i++)
        read_buffers(plan, &run->held, PyList_GET_ITEM(buffers, i), &plan->populations[i]);
    if (!PyErr_Occurred())
        read_list(plan, &run->held, probes, sizeof(Probe), &plan->probe_count,
                  (void **)&plan->probes, read_probe);
    plan->overflows = array(&run->held, from, "overflows", 8, plan->population_count, 1);
    if (!PyErr_Occurred() && !plan->overflows)
        PyErr_SetString(PyExc_KeyError, "overflows");
}

/* Tell Python how far the run is and let it see signals; returns 1 where it is to end. */
static int tell(Run *run)
{
    int64_t done = 0;
    for (int64_t i = 0; i < run->plan.threads; i++)
        done += __atomic_load_n(&run->plan.done[i], __ATOMIC_RELAXED);
    if (PyErr_CheckSignals())
        return 1;
    PyObject *result = PyObject_CallFunction(run->progress, "L", (long long)done);
    Py_XDECREF(result);
    return result == NULL;
}

static int tick_alone(Plan *plan, int64_t thread)
{
    Run *run = (Run *)plan; /* its first member */
    (void)thread;
    const double at = now();
    if (at - run->last < TICK_SECONDS)
        return 0;
    run->last = at;
    PyEval_RestoreThread(run->thread);
    const int ends = tell(run);
    run->thread = PyEval_SaveThread();
    return ends;
}

#if HAS_THREADS
typedef struct {
    Plan *plan;
    int64_t number;
    pthread_mutex_t *lock;
    pthread_cond_t *ended;
    int64_t *running;
} Worker;

static int tick_among(Plan *plan, int64_t thread)
{
    (void)thread;
    return __atomic_load_n(&plan->stop, __ATOMIC_RELAXED);
}

static void *work(void *from)
{
    Worker *worker = from;
    run_samples(worker->plan, worker->number, tick_among);
    pthread_mutex_lock(worker->lock);
    --*worker->running;
    pthread_cond_signal(worker->ended);
    pthread_mutex_unlock(worker->lock);
    return NULL;
}

/* Run samples in several threads; this one waits and tells Python. */
static void run_threads(Run *run)
{
    Plan *plan = &run->plan;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t ended = PTHREAD_COND_INITIALIZER;
    int64_t running = 0, started = 0;
    pthread_t *threads = calloc(plan->threads, sizeof *threads);
    Worker *workers = calloc(plan->threads, sizeof *workers);
    if (!threads || !workers)
        plan->failed = NO_MEMORY;
    pthread_mutex_lock(&lock);
    for (int64_t i = 0; !plan->failed && i < plan->threads; i++) {
        workers[i] = (Worker){plan, i, &lock, &ended, &running};
        if (pthread_create(&threads[i], NULL, work, &workers[i]))
            break;
        running++, started++;
    }
    if (!started)
        plan->failed = NO_MEMORY;
    while (running) {
        struct timespec until;
        timespec_get(&until, TIME_UTC);
        until.tv_nsec += (long)(TICK_SECONDS * 1e9);
        until.tv_sec += until.tv_nsec / 1000000000;
        until.tv_nsec %= 1000000000;
        if (!pthread_cond_timedwait(&ended, &lock, &until))
            continue;
        pthread_mutex_unlock(&lock);
        PyEval_RestoreThread(run->thread);
        if (!PyErr_Occurred() && tell(run))
            __atomic_store_n(&plan->stop, 1, __ATOMIC_RELAXED);
        run->thread = PyEval_SaveThread();
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    for (int64_t i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
    free(threads);
    free(workers);
}
#else
static void run_threads(Run *run) { run_samples(&run->plan, 0, tick_alone); }
#endif

/* Turn how many spikes each step had into where they begin. */
static void add_up(const Plan *plan)
{
    for (int64_t i = 0; i < plan->population_count; i++) {
        int64_t *offsets = plan->populations[i].offsets;
        if (!offsets)
            continue;
        offsets[0] = 0;
        for (int64_t row = 1; row <= plan->samples * plan->steps; row++)
            offsets[row] += offsets[row - 1];
    }
}

/* Join the samples' lists into one array of bytes. */
static PyObject *joined(const Plan *plan, const Population *p, int of_counts)
{
    int64_t total = 0;
    for (int64_t s = 0; s < plan->samples; s++)
        total += p->out[s].size;
    PyObject *bytes = PyByteArray_FromStringAndSize(NULL, total * 4);
    char *at = bytes ? PyByteArray_AS_STRING(bytes) : NULL;
    for (int64_t s = 0; at && s < plan->samples; s++) {
        const int32_t *from = of_counts ? p->out[s].count : p->out[s].neuron;
        if (p->out[s].size)
            memcpy(at, from, p->out[s].size * 4);
        at += p->out[s].size * 4;
    }
    return bytes;
}

static PyObject *results(const Plan *plan)
{
    add_up(plan);
    PyObject *list = PyList_New(plan->population_count);
    for (int64_t i = 0; list && i < plan->population_count; i++) {
        const Population *p = &plan->populations[i];
        PyObject *pair = p->kind == INPUT ? Py_BuildValue("(OO)", Py_None, Py_None)
                         : p->has_payload ? Py_BuildValue("(NN)", joined(plan, p, 0), joined(plan, p, 1))
                                          : Py_BuildValue("(NO)", joined(plan, p, 0), Py_None);
        if (!pair) {
            Py_CLEAR(list);
            break;
        }
        PyList_SET_ITEM(list, i, pair);
    }
    return list;
}

static void end(Run *run)
{
    Plan *plan = &run->plan;
    for (int64_t i = 0; plan->populations && i < plan->population_count; i++) {
        Spikes *out = plan->populations[i].out;
        for (int64_t s = 0; out && s < plan->samples; s++) {
            free(out[s].neuron);
            free(out[s].count);
        }
        PyMem_Free(out);
    }
    PyMem_Free(plan->populations);
    PyMem_Free(plan->probes);
    PyMem_Free(plan->done);
    let_go(&run->held);
}

static PyObject *run_plan(PyObject *module, PyObject *args)
{
    PyObject *capsule, *from;
    Run run = {0};
    (void)module;
    if (!PyArg_ParseTuple(args, "OO!O", &capsule, &PyDict_Type, &from, &run.progress))
        return NULL;
    const Prepared *prepared = PyCapsule_GetPointer(capsule, CAPSULE);
    if (!prepared)
        return NULL;
    read_run(&run, prepared, from);
    PyObject *found = NULL;
    if (!PyErr_Occurred()) {
        run.last = now();
        run.thread = PyEval_SaveThread();
        if (run.plan.threads > 1)
            run_threads(&run);
        else
            run_samples(&run.plan, 0, tick_alone);
        PyEval_RestoreThread(run.thread);
        if (PyErr_Occurred())
            found = NULL;
        else if (run.plan.failed == NO_ROOM)
            found = Py_NewRef(Py_None);
        else
            found = run.plan.failed ? PyErr_NoMemory() : results(&run.plan);
    }
    end(&run);
    return found;
}

static void read_mesh(MeshRun *run, Held *held, PyObject *from)
{
    run->rows = number(from, "rows");
    run->packets = number(from, "packets");
    run->cores = number(from, "cores");
    run->buffer = number(from, "buffer");
    if (PyErr_Occurred())
        return;
    if (run->rows < 0 || run->packets < 0 || run->cores < 0 || run->buffer < 1) {
        PyErr_SetString(PyExc_ValueError, "a mesh has no such size");
        return;
    }
    run->offsets = array(held, from, "offsets", 8, run->rows + 1, 0);
    run->source = array(held, from, "source", 4, run->packets, 0);
    run->target = array(held, from, "target", 4, run->packets, 0);
    run->wait = array(held, from, "wait", 8, run->packets, 0);
    run->serve = array(held, from, "serve", 8, run->packets, 0);
    run->rest = array(held, from, "rest", 8, run->rows * run->cores, 0);
    run->x = array(held, from, "x", 4, run->cores, 0);
    run->y = array(held, from, "y", 4, run->cores, 0);
    run->hop = array(held, from, "hop", 8, 2, 0);
    run->found = array(held, from, "found", 8, 5 * run->rows, 1);
    run->held = array(held, from, "held", 1, run->packets, 1);
    if (PyErr_Occurred())
        return;
    if (!run->offsets || !run->source || !run->target || !run->wait || !run->serve || !run->rest ||
        !run->x || !run->y || !run->hop || !run->found || !run->held) {
        PyErr_SetString(PyExc_KeyError, "an array of the mesh is missing");
        return;
    }
    const char *trouble = trouble_of(run);
    if (trouble)
        PyErr_SetString(PyExc_ValueError, trouble);
}

/* Make room for what a row needs; returns 0 where there is none. */
static int make_room(MeshRun *run)
{
    int64_t most = 0;
    run->columns = run->lines = 1;
    for (int64_t row = 0; row < run->rows; row++)
        if (run->offsets[row + 1] - run->offsets[row] > most)
            most = run->offsets[row + 1] - run->offsets[row];
    for (int64_t core = 0; core < run->cores; core++) {
        if (run->x[core] >= run->columns)
            run->columns = run->x[core] + 1;
        if (run->y[core] >= run->lines)
            run->lines = run->y[core] + 1;
    }
    if (run->columns * run->lines > LARGEST_MESH)
        return 0;
    run->port = PyMem_RawCalloc(run->cores + 1, sizeof *run->port);
    run->busy = PyMem_RawCalloc(run->cores + 1, sizeof *run->busy);
    run->late = PyMem_RawCalloc(run->cores + 1, sizeof *run->late);
    run->link = PyMem_RawCalloc(4 * run->columns * run->lines, sizeof *run->link);
    run->leaving.items = PyMem_RawCalloc(run->cores + 1, sizeof *run->leaving.items);
    run->flying.items = PyMem_RawCalloc(most + 1, sizeof *run->flying.items);
    return run->port && run->busy && run->late && run->link && run->leaving.items &&
           run->flying.items;
}

static PyObject *time_mesh(PyObject *module, PyObject *from)
{
    MeshRun run = {0};
    Held held = {0};
    (void)module;
    if (!PyDict_Check(from)) {
        PyErr_SetString(PyExc_TypeError, "a mesh is a dict");
        return NULL;
    }
    read_mesh(&run, &held, from);
    if (!PyErr_Occurred() && !make_room(&run))
        PyErr_NoMemory();
    if (!PyErr_Occurred()) {
        Py_BEGIN_ALLOW_THREADS
        for (int64_t row = 0; row < run.rows; row++)
            time_row(&run, row);
        Py_END_ALLOW_THREADS
    }
    void *made[] = {run.port, run.busy, run.late, run.link, run.leaving.items, run.flying.items};
    for (size_t k = 0; k < sizeof made / sizeof *made; k++)
        PyMem_RawFree(made[k]);
    let_go(&held);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyMethodDef METHODS[] = {
    {"prepare", prepare_plan, METH_VARARGS, "prepare(populations, projections, cores) -> capsule"},
    {"run", run_plan, METH_VARARGS, "run(capsule, buffers, progress) -> [(neurons, counts), ...], or None: no room for the spikes"},
    {"mesh_time", time_mesh, METH_O, "mesh_time(arrays): fill found and held"},
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef MODULE = {
    PyModuleDef_HEAD_INIT, "_engine", "The emulator's hot loops.", 0, METHODS, NULL, NULL, NULL, NULL,
};

PyMODINIT_FUNC PyInit__engine(void) { return PyModule_Create(&MODULE); }
