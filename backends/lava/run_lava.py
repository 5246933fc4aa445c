# mypy: ignore-errors
"""Runs the networks of this folder in Lava 0.10: spikes in, every u, v and spike out.

    python run_lava.py --input input.npz --out traces.npz [--deadline SECONDS]

A program of its own: it needs Python 3.10 with lava-nc, not spikeport. It reads `network.json`
and `arrays.npz` beside it; README.md says what the input holds. All networks and samples become
one block-diagonal Lava network, because Lava runs only what is connected and gives every process
an OS process. Lava imports every .py that lies beside a Process class, so no other may lie here.
"""

import argparse
import contextlib
import json
import os
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing import connection
from pathlib import Path

import numpy as np
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.model import PyLoihiProcessModel
from lava.magma.core.model.py.ports import PyInPort, PyOutPort, PyRefPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.process.ports.ports import InPort, OutPort, RefPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.process.variable import Var
from lava.magma.core.resources import CPU
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol
from lava.proc.conv.process import Conv
from lava.proc.io.source import RingBuffer
from lava.proc.lif.models import PyLifModelBitAcc
from lava.proc.lif.process import LIF
from lava.proc.sparse.process import DelaySparse, Sparse
from lava.utils.weightutils import SignMode
from scipy.sparse import csr_matrix

V_LIMIT = (1 << 23) - 1  # Lava clips v to -V_LIMIT .. V_LIMIT
NEVER = 131072  # threshold mantissa one above what v can reach
BIAS_LIMIT = 4095  # mantissa of Loihi's bias register
RESETS = ("to_value", "subtract", "none", "subtract_snntorch")
CELL = (
    "decay_u",
    "decay_v",
    "v_threshold",
    "bias_mantissa",
    "bias_exponent",
    "v_reset",
    "v_initial",
    "v_min",
    "refractory_steps",
)  # the rows of a population's array
CONV_CALLS = 300_000  # of scipy's convolve2d in one run; some 50 microseconds each
DELAY_WORK = 2_000_000  # synapses x delays that DelaySparse may rebuild every step
CHANNEL_BYTES = 64 << 20  # shared memory that the buffers of one channel may take


# --- processes of our own: what Lava lacks ---------------------------------------------------


class SpikeportLif(LIF):
    """Lava's LIF with what it lacks: other resets, refractory steps, a floor, a start, a drive.

    Extra Vars, one value per neuron: `reset_mode` (index into RESETS), `v_reset`, `v_min`,
    `refractory_steps`, `refractory` (steps left), `start_step` (nothing moves before it); and
    `driven`, `drive`: numbers of neurons and what the host adds to their v in each step.
    """

    def __init__(self, *, extra, **params):
        super().__init__(**params)
        for name, value in extra.items():
            setattr(self, name, Var(shape=value.shape, init=value))


@implements(proc=SpikeportLif, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class SpikeportLifModel(PyLifModelBitAcc):
    """Lava's own step, with the values of held neurons put back and other resets after it."""

    implements_process = None  # of the parent: LIF

    reset_mode: np.ndarray = LavaPyType(np.ndarray, np.int32)
    v_reset: np.ndarray = LavaPyType(np.ndarray, np.int32)
    v_min: np.ndarray = LavaPyType(np.ndarray, np.int32)
    refractory_steps: np.ndarray = LavaPyType(np.ndarray, np.int32)
    refractory: np.ndarray = LavaPyType(np.ndarray, np.int32)
    start_step: np.ndarray = LavaPyType(np.ndarray, np.int32)
    driven: np.ndarray = LavaPyType(np.ndarray, np.int32)
    drive: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def scale_bias(self):
        """Add what the host drives in this step."""
        super().scale_bias()
        self.effective_bias.reshape(-1)[self.driven] += self.drive[:, self.time_step - 1]

    def subthr_dynamics(self, activation_in):
        """Take Lava's step, then put back what must not move."""
        u, v = self.u.copy(), self.v.copy()
        super().subthr_dynamics(activation_in)
        asleep = self.time_step - 1 < self.start_step
        self.held = (self.refractory > 0) | asleep
        np.copyto(self.v, v, where=self.held)
        np.maximum(self.v, self.v_min, out=self.v)
        np.copyto(self.u, u, where=asleep)
        np.copyto(self.v, v, where=asleep)
        np.subtract(self.refractory, 1, out=self.refractory, where=(self.refractory > 0) & ~asleep)

    def spiking_activation(self):
        """Let no held neuron spike."""
        return super().spiking_activation() & ~self.held

    def reset_voltage(self, spike_vector):
        """Reset by each neuron's own rule, and start its pause."""
        to_value = spike_vector & (self.reset_mode == RESETS.index("to_value"))
        subtract = spike_vector & (self.reset_mode == RESETS.index("subtract"))
        np.copyto(self.v, self.v_reset, where=to_value)
        np.subtract(self.v, self.effective_vth, out=self.v, where=subtract)
        pausing = spike_vector & (self.refractory_steps > 1)
        np.copyto(self.refractory, self.refractory_steps - 1, where=pausing)


class SpikeportNeuron(AbstractProcess):
    """The neuron of a chip with graded messages, for which Lava has no process.

    States are 32 bits wide and saturate; it may be reset a step late, count its spikes, compare
    with `>=`, or send its v. Vars, one value per neuron: u, v, refractory, pending (spikes that
    still reset it), and those of `NEURON_VARS`.
    """

    def __init__(self, *, shape, values, drive, limit, slow):
        super().__init__(limit=limit, slow=slow)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        for name, value in {**values, "drive": drive}.items():
            setattr(self, name, Var(shape=value.shape, init=value))


@implements(proc=SpikeportNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SpikeportNeuronModel(PyLoihiProcessModel):
    """One step in 64-bit integers; what is kept fits 32."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    drive: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.limit, self.slow = proc_params["limit"], proc_params["slow"]

    def run_spk(self):
        """Receive, move u and v, spike, reset, send."""
        arrived = self.a_in.recv().astype(np.int64)
        since = self.time_step - 1 - self.start_step
        awake = (since >= 0) & (since % self.slow == 0)
        theta = self.v_threshold.astype(np.int64) * 64
        old = self.v.astype(np.int64)
        u = self.fading(self.u, self.decay_u + 1) + arrived * 64
        u = np.clip(u, -self.limit, self.limit)
        v = self.fading(self.v, self.decay_v) + u + self.bias + self.drive[:, self.time_step - 1]
        v = np.clip(v, -self.limit, self.limit)
        paused = self.refractory > 0
        v = np.where(paused, old, v)
        v = np.where(self.late, self.after(v, self.pending, theta), v)
        v = np.maximum(v, self.v_min)
        owed = np.where(self.is_reset("subtract_snntorch") & ~self.late, self.fires(old, theta), 0)
        spikes = np.where(paused, 0, self.fires(v - owed * theta, theta))
        spikes = np.where(self.analog, 0, spikes)
        reset = np.where(self.late, v, self.after(v, spikes, theta))
        pause = np.where(spikes > 0, self.refractory_steps - 1, np.maximum(self.refractory - 1, 0))
        for name, value in {"u": u, "v": reset, "refractory": pause}.items():
            np.copyto(getattr(self, name), value.astype(np.int32), where=awake)
        np.copyto(self.pending, spikes.astype(np.int32), where=awake & self.late)
        message = (v + (np.int64(1) << self.shift >> 1)) >> self.shift
        message = np.clip(message, -self.largest, self.largest)
        self.s_out.send(np.where(awake, np.where(self.analog, message, spikes), 0).astype(np.int32))

    @staticmethod
    def fading(state, decay):
        """Return a state after its decay, rounded toward zero."""
        kept = np.abs(state.astype(np.int64)) * (4096 - decay) // 4096
        return np.where(state < 0, -kept, kept)

    def fires(self, v, theta):
        """Return how many spikes a v makes."""
        once = np.where(self.inclusive, v >= theta, v > theta)
        whole = v // np.maximum(theta, 1)
        count = np.where(self.inclusive | (whole * theta != v), whole, whole - 1)
        return np.where(self.counting, np.clip(count, 0, self.largest), once)

    def after(self, v, spikes, theta):
        """Return v after the reset that so many spikes cause."""
        less = self.is_reset("subtract") | self.is_reset("subtract_snntorch")
        v = np.where(less, v - spikes * theta, v)
        return np.where(self.is_reset("to_value") & (spikes > 0), self.v_reset, v)

    def is_reset(self, name):
        """Return which neurons have this reset."""
        return self.reset_mode == RESETS.index(name)


#: What a SpikeportNeuron keeps beside what it receives and sends.
NEURON_VARS = {
    **dict.fromkeys(("u", "v", "refractory", "pending", "decay_u", "decay_v"), np.int32),
    **dict.fromkeys(("v_threshold", "bias", "v_reset", "v_min", "refractory_steps"), np.int32),
    **dict.fromkeys(("reset_mode", "start_step", "shift", "largest"), np.int32),
    **dict.fromkeys(("late", "counting", "inclusive", "analog"), bool),
}
for _name, _type in NEURON_VARS.items():
    setattr(SpikeportNeuronModel, _name, LavaPyType(np.ndarray, _type))


class SpikeDelay(AbstractProcess):
    """Sends the spikes of `ring.shape[0]` steps ago; a DelaySparse of that size is too slow."""

    def __init__(self, *, ring):
        super().__init__()
        self.s_in = InPort(shape=ring.shape[1:])
        self.s_out = OutPort(shape=ring.shape[1:])
        self.ring = Var(shape=ring.shape, init=ring)


@implements(proc=SpikeDelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SpikeDelayModel(PyLoihiProcessModel):
    """Sends before it receives, so that loops do not wait for themselves."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    ring: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self):
        """Send the oldest spikes and keep the newest in their place."""
        slot = (self.time_step - 1) % self.ring.shape[0]
        self.s_out.send(self.ring[slot])
        self.ring[slot] = self.s_in.recv()


class Recorder(AbstractProcess):
    """Writes spikes and Vars of other processes, step by step, to raw files.

    Lava's Monitor takes time quadratic in its data. One recorder is connected to everything,
    which also makes everything one network.
    """

    def __init__(self, sources, folder):
        self.sources = sources
        super().__init__(
            labels=[source.name for source in sources],
            variables=[recorded(source) for source in sources],
            folder=str(folder),
        )
        for number, source in enumerate(sources):
            setattr(self, f"spikes_{number}", InPort(shape=source.s_out.shape))
            for name in recorded(source):
                setattr(self, f"{name}_{number}", RefPort(shape=getattr(source, name).shape))

    def connect(self):
        """Connect the ports; declare them in the model, as Lava's Monitor does."""
        for number, source in enumerate(self.sources):
            setattr(RecorderModel, f"spikes_{number}", LavaPyType(PyInPort.VEC_DENSE, np.int32))
            source.s_out.connect(getattr(self, f"spikes_{number}"))
            for name in recorded(source):
                port = f"{name}_{number}"
                setattr(RecorderModel, port, LavaPyType(PyRefPort.VEC_DENSE, np.int32))
                getattr(self, port).connect_var(getattr(source, name))


def recorded(process):
    """Return the names of the Vars that are written every step."""
    if isinstance(process, SpikeportNeuron):
        return ["u", "v", "refractory", "pending"]
    if isinstance(process, SpikeportLif):
        return ["u", "v", "refractory"]
    return ["u", "v"] if isinstance(process, LIF) else []


@implements(proc=Recorder, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class RecorderModel(PyLoihiProcessModel):
    """Receives in the spiking phase, reads Vars after it: u and v are those after the reset."""

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.labels, self.variables = proc_params["labels"], proc_params["variables"]
        folder = Path(proc_params["folder"])
        create = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        self.progress = os.open(folder / "progress", create, 0o644)
        self.files = {
            (name, number): os.open(folder / f"{name}_{number}.raw", create, 0o644)
            for number, names in enumerate(self.variables)
            for name in ["spikes", *names]
        }

    def run_spk(self):
        """Write what was sent in this step."""
        for number, label in enumerate(self.labels):
            self.say(f"in step {self.time_step}, waiting for the spikes of process {label}")
            spikes = getattr(self, f"spikes_{number}").recv()
            os.write(self.files["spikes", number], spikes.astype(np.int32).tobytes())
        self.say(f"in step {self.time_step}, waiting for a process that sends no spikes")

    def post_guard(self):
        """Ask for the phase in which Vars can be read, in every step."""
        return True

    def run_post_mgmt(self):
        """Write the Vars as this step left them."""
        for number, names in enumerate(self.variables):
            for name in names:
                self.say(f"in step {self.time_step}, reading {name} of {self.labels[number]}")
                values = getattr(self, f"{name}_{number}").read()
                os.write(self.files[name, number], values.astype(np.int32).tobytes())
        self.say(f"after step {self.time_step}, waiting for the next one")

    def say(self, text):
        """Leave word where the run is, for whoever finds it hanging."""
        os.pwrite(self.progress, text.ljust(200).encode(), 0)


# --- what is to be run -----------------------------------------------------------------------


class Job:
    """One network of the bundle with its input: samples, steps, state."""

    def __init__(self, number, spec, arrays, given):
        self.number, self.spec, self.arrays, self.given = number, spec, arrays, given
        self.populations = {each["name"]: each for each in spec["populations"]}
        inputs = [name for name, each in self.populations.items() if each["kind"] == "input"]
        fed = [self.get("spikes", name) for name in inputs if self.get("spikes", name) is not None]
        self.samples = int(self.get("samples", default=fed[0].shape[0] if fed else 1))
        answered = (fed[0].shape[1] if fed else 1) + spec["output_lag"]
        self.steps = int(self.get("steps", default=answered))
        self.first = int(self.get("first_step", default=0))

    def get(self, *path, default=None):
        """Return an array of the input file, by its parts: job / what / population."""
        key = "/".join([str(self.number), *path])
        return self.given.get(key, default)

    def size(self, name):
        """Return how many neurons a population has."""
        return int(np.prod(self.populations[name]["shape"], dtype=np.int64))

    def cell(self, name):
        """Return the integer parameters of a population, each (n,)."""
        rows = self.arrays[f"{self.number}/cell/{self.populations[name]['number']}"]
        return dict(zip(CELL, rows, strict=True))

    def raster(self, name):
        """Return the spikes of an input, (samples, steps, n), zero after its end."""
        raster = np.zeros((self.samples, self.steps, self.size(name)), np.int32)
        spikes = self.get("spikes", name)
        if spikes is not None:
            spikes = spikes[:, : self.steps]
            raster[:, : spikes.shape[1]] = spikes
        return raster

    @property
    def wide(self):
        """Are the states wider than those of Lava's LIF."""
        return self.spec["state_bits"] != 24

    def graded(self, name):
        """Does a population send more than one spike in one step."""
        if self.populations[name]["message_bits"]:
            return True
        sent = (self.get(what, name) for what in ("spikes", "history"))
        return any(spikes is not None and spikes.max(initial=0) > 1 for spikes in sent)

    def history(self, name, delay):
        """Return the spikes of the last `delay` steps before the run, newest last."""
        past = np.zeros((delay, self.samples, self.size(name)), np.int32)
        known = self.get("history", name)
        if known is not None:
            known = known[-delay:]
            past[delay - len(known) :] = known
        return past

    def drive(self, name):
        """Return what the host adds to v, (samples, steps, n), or None."""
        drive = self.get("bias", name)
        return None if drive is None or not drive.any() else drive[:, : self.steps]

    def matrix(self, synapses):
        """Return the weights of a projection, CSR (post, pre)."""
        key = f"{self.number}/synapses/{synapses['number']}"
        parts = [self.arrays[f"{key}/{part}"] for part in ("data", "indices", "indptr")]
        shape = (self.size(synapses["post"]), self.size(synapses["pre"]))
        return csr_matrix((parts[0].astype(np.int32), *parts[1:]), shape=shape)

    def kernel(self, synapses):
        """Return the kernel of a convolution, (out, in / groups, height, width)."""
        return self.arrays[f"{self.number}/synapses/{synapses['number']}/kernel"].astype(np.int32)


@dataclass
class Pool:
    """Populations that share one Lava process."""

    name: str
    kind: str  # inputs, lif, own or wide
    shape: tuple = None  # None: as long as needed
    members: list = field(default_factory=list)  # (job, population name, index)
    size: int = 0
    process: object = None

    def add(self, job, name, index=None):
        """Take a population in; return its neurons' numbers in the process, (samples, n)."""
        if index is None:
            index = self.size + np.arange(job.samples * job.size(name)).reshape(job.samples, -1)
        self.members.append((job, name, index))
        self.size += index.size
        return index

    def gather(self, values, dtype=np.int32):
        """Return one array of the process's shape from `values(job, name)` of each member."""
        flat = np.zeros(self.size, dtype)
        for job, name, index in self.members:
            flat[index] = values(job, name)
        return flat.reshape(self.shape or (self.size,))


class Network:
    """The Lava network: pools of neurons, and what connects them."""

    def __init__(self, jobs, folder):
        self.jobs, self.folder = jobs, folder
        self.steps = max(job.steps for job in jobs)
        self.pools, self.places, self.own = {}, {}, {}
        self.connections, self.projections = [], []
        convolutions = list(self._convolutions())
        for job in jobs:
            for name in job.populations:
                self._place(job, name, convolutions)
        for pool in self.pools.values():
            make = {"inputs": self._source, "lif": self._lif, "own": self._lif}
            pool.process = make.get(pool.kind, self._wide)(pool)
        self._connect(convolutions)
        self.recorder = Recorder([pool.process for pool in self.pools.values()], folder)
        self.recorder.connect()

    # where populations go

    def _convolutions(self):
        """Yield the projections that Lava's Conv does to the bit.

        Conv neither clips, truncates nor shifts its weights, wraps its sums at 24 bits and
        counts its groups in 8 bits; it is slow. Samples are its groups, so one job at most.
        """
        if len(self.jobs) > 1:
            return
        job, shapes, calls = self.jobs[0], {}, 0
        for each in job.spec["synapses"]:
            conv = each["conv"]
            if conv is None or each["delay_steps"] != 1 or each["exponent"] < 0 or job.wide:
                continue
            kernel = job.kernel(each)
            largest = int(np.abs(kernel).sum(axis=(1, 2, 3)).max(initial=0)) << each["exponent"]
            work = job.samples * kernel.shape[0] * kernel.shape[1] * self.steps
            numbers = (*conv["stride"], *conv["padding"], *conv["dilation"], *kernel.shape[2:])
            wanted = {each["pre"]: conv["input_shape"], each["post"]: conv["output_shape"]}
            fits = (
                largest < 1 << 23
                and job.samples * conv["groups"] <= 127
                and max(numbers) <= 127
                and calls + work <= CONV_CALLS
                and all(shapes.get(name, shape) == shape for name, shape in wanted.items())
                and len(wanted) == 2
                and not job.graded(each["pre"])
            )
            if fits:
                calls += work
                shapes.update(wanted)
                yield each

    def _place(self, job, name, convolutions):
        kind = self._kind(job, name)
        for each in convolutions:
            if name not in (each["pre"], each["post"]):
                continue
            side = "input_shape" if name == each["pre"] else "output_shape"
            channels, height, width = each["conv"][side]
            shape = (width, height, job.samples * channels)
            grid = np.arange(np.prod(shape)).reshape(width, height, job.samples, channels)
            index = grid.transpose(2, 3, 1, 0).reshape(job.samples, -1)
            self.pools[name] = Pool(f"{name} ({kind})", kind, shape)
            self.places[job.number, name] = name, self.pools[name].add(job, name, index)
            return
        pool = self.pools.setdefault((kind,), Pool(kind, kind))
        self.places[job.number, name] = (kind,), pool.add(job, name)

    def _kind(self, job, name):
        """Return `inputs`, `lif` (Lava's own process), or `own`, with the reasons in self.own."""
        spec = job.populations[name]
        if spec["kind"] == "input":
            return "inputs"
        cell = job.cell(name)
        if job.wide:
            self.own[f"{job.number}/{name}"] = ["states of 32 bits"]
            return f"wide, {job.spec['slow']} steps each"
        reasons = {
            f"reset {spec['reset']}": spec["spiking"] and spec["reset"] != "to_value",
            "v_reset is not 0": spec["spiking"]
            and spec["reset"] == "to_value"
            and cell["v_reset"].any(),
            "refractory steps": (cell["refractory_steps"] > 1).any()
            or np.any(job.get("state", "refractory", name, default=0)),
            "v_min": (cell["v_min"] > -V_LIMIT).any(),
            "start step": spec["start_step"] > job.first,
            "host drive that changes": self._bias(job, name)[2] is not None,
        }
        why = [reason for reason, holds in reasons.items() if holds]
        if why:
            self.own[f"{job.number}/{name}"] = why
        return "own" if why else "lif"

    def _bias(self, job, name):
        """Return bias mantissa and exponent of each neuron, and a drive where they do not do.

        A drive that is the same in all steps becomes the bias register of each sample.
        """
        cell = job.cell(name)
        mantissa, exponent, drive = cell["bias_mantissa"], cell["bias_exponent"], job.drive(name)
        if drive is None or (drive != drive[:, :1]).any():
            return mantissa, exponent, drive
        total = (mantissa.astype(np.int64) << exponent) + drive[:, 0]
        fitting = np.full(total.shape, -1)
        for shift in range(7, -1, -1):
            exact = (total >> shift << shift == total) & (np.abs(total >> shift) <= BIAS_LIMIT)
            fitting[exact] = shift
        if (fitting < 0).any():
            return mantissa, exponent, drive
        return total >> fitting, fitting, None

    def _lif(self, pool):
        cells = {(job.number, name): job.cell(name) for job, name, _ in pool.members}
        state = {
            "u": lambda job, name: job.get("state", "u", name, default=0),
            "v": lambda job, name: job.get(
                "state", "v", name, default=cells[job.number, name]["v_initial"]
            ),
            "refractory": lambda job, name: job.get("state", "refractory", name, default=0),
        }

        def cell(field_name):
            return pool.gather(lambda job, name: cells[job.number, name][field_name])

        def threshold(job, name):
            spiking = job.populations[name]["spiking"]
            return cells[job.number, name]["v_threshold"] if spiking else NEVER

        params = {
            "shape": pool.shape or (pool.size,),
            "name": pool.name,
            "u": pool.gather(state["u"]),
            "v": pool.gather(state["v"]),
            "du": cell("decay_u"),
            "dv": cell("decay_v"),
            "vth": pool.gather(threshold),
            "bias_mant": pool.gather(lambda job, name: self._bias(job, name)[0]),
            "bias_exp": pool.gather(lambda job, name: self._bias(job, name)[1]),
        }
        if pool.kind == "lif":
            return LIF(**params)
        driven, drive = self._drive(pool)
        extra = {
            "reset_mode": pool.gather(
                lambda job, name: RESETS.index(job.populations[name]["reset"])
            ),
            "v_reset": cell("v_reset"),
            "v_min": cell("v_min"),
            "refractory_steps": cell("refractory_steps"),
            "refractory": pool.gather(state["refractory"]),
            "start_step": pool.gather(
                lambda job, name: max(job.populations[name]["start_step"] - job.first, 0)
            ),
            "driven": driven,
            "drive": drive,
        }
        return SpikeportLif(extra=extra, **params)

    def _wide(self, pool):
        """Return the process of neurons with wide states."""

        def cell(field_name):
            return pool.gather(lambda job, name: job.cell(name)[field_name])

        def said(key):
            return pool.gather(lambda job, name: job.populations[name][key], object)

        def kept(variable):
            return pool.gather(lambda job, name: job.get("state", variable, name, default=0))

        def initial(job, name):
            return job.get("state", "v", name, default=job.cell(name)["v_initial"])

        def register(job, name):
            return job.cell(name)["bias_mantissa"] << job.cell(name)["bias_exponent"]

        values = {
            name: cell(name)
            for name in (
                "decay_u",
                "decay_v",
                "v_threshold",
                "v_reset",
                "v_min",
                "refractory_steps",
            )
        }
        values |= {name: kept(name) for name in ("u", "refractory", "pending")}
        values |= {
            "v": pool.gather(initial),
            "bias": pool.gather(register),
            "reset_mode": pool.gather(
                lambda job, name: RESETS.index(job.populations[name]["reset"])
            ),
            "start_step": pool.gather(
                lambda job, name: job.populations[name]["start_step"] - job.first
            ),
            "shift": said("message_shift"),
            "largest": pool.gather(
                lambda job, name: (1 << max(job.populations[name]["message_bits"] - 1, 0)) - 1
            ),
            "late": said("reset_when") == "next_step",
            "counting": said("spike") == "count",
            "inclusive": said("threshold") == "greater_equal",
            "analog": ~said("spiking").astype(bool),
        }
        driven = any(job.drive(name) is not None for job, name, _ in pool.members)
        drive = np.zeros((pool.size if driven else 1, self.steps), np.int32)
        for job, name, index in pool.members:
            given = job.drive(name)
            if given is not None:
                flat = given.transpose(0, 2, 1).reshape(index.size, -1)
                drive[index.ravel(), : flat.shape[1]] = flat
        process = SpikeportNeuron(
            shape=(pool.size,),
            values={name: value.astype(NEURON_VARS[name]) for name, value in values.items()},
            drive=drive,
            limit=(1 << 31) - 1,
            slow=pool.members[0][0].spec["slow"],
        )
        process.name = pool.name
        return process

    def _source(self, pool):
        return source(pool, self.steps)

    def _drive(self, pool):
        numbers, drives = [np.zeros(1, np.int32)], [np.zeros((1, self.steps), np.int32)]
        for job, name, index in pool.members:
            drive = self._bias(job, name)[2]
            if drive is not None:
                padded = np.zeros((index.size, self.steps), np.int32)
                padded[:, : drive.shape[1]] = drive.transpose(0, 2, 1).reshape(index.size, -1)
                numbers.append(index.ravel().astype(np.int32))
                drives.append(padded)
        if len(numbers) > 1:
            numbers, drives = numbers[1:], drives[1:]
        return np.concatenate(numbers), np.concatenate(drives)

    # what connects them

    def _connect(self, convolutions):
        groups = {}
        for job in self.jobs:
            layers = Counter()
            for each in job.spec["synapses"]:
                how = "Conv" if each in convolutions else self._sparse(job, each, layers, groups)
                self.projections.append([job.number, each["name"], how])
        for each in convolutions:
            self._convolve(self.jobs[0], each)
        for key, members in groups.items():
            self._realise(key, members)

    def _sparse(self, job, each, layers, groups):
        """Put a projection into the group of those that can share a Sparse; return which.

        The shift rounds the sum of one projection, so two projections to one neuron never
        share: the second goes to another layer.
        """
        pre, sources = self.places[job.number, each["pre"]]
        post, targets = self.places[job.number, each["post"]]
        graded = job.graded(each["pre"])
        how = "DelaySparse" if each["delay_steps"] > 1 else "Sparse"
        key = (how, pre, post, each["exponent"], each["sign_mode"], each["weight_bits"], graded)
        layer = layers[key, each["post"]]
        layers[key, each["post"]] += 1
        groups.setdefault((*key, layer), []).append((job, each, sources, targets))
        return how

    def _realise(self, key, members):
        """Make the Sparse or DelaySparse of one group, or a delay line where it is too slow."""
        how, pre, post, exponent, sign_mode, bits, graded, _ = key
        parts, arrivals = [], []
        for job, each, sources, targets in members:
            matrix, delay = job.matrix(each).tocoo(), each["delay_steps"]
            parts.append(
                (
                    targets[:, matrix.row].ravel(),
                    sources[:, matrix.col].ravel(),
                    np.tile(matrix.data, job.samples),
                    delay,
                )
            )
            arrivals.append((targets, in_flight(job, each, graded), delay))
        work = sum(part[2].size for part in parts) * max(part[3] for part in parts)
        settings = {
            "weight_exp": exponent,
            "num_weight_bits": bits,
            "sign_mode": SignMode[sign_mode.upper()],
            "num_message_bits": 8 if graded else 0,
        }
        if how == "Sparse" or (work <= DELAY_WORK and not graded):
            self._synapses(how, pre, post, parts, arrivals, settings)
            return
        for delay in sorted({part[3] for part in parts}):
            late = self._late(pre, delay - 1)
            chosen = [part for part in parts if part[3] == delay]
            flying = [arrival for arrival in arrivals if arrival[2] == delay]
            self._synapses("Sparse", late, post, chosen, flying, settings)

    def _synapses(self, how, pre, post, parts, arrivals, settings):
        sender, receiver = self.pools[pre], self.pools[post]
        shape = (receiver.size, sender.size)
        rows, columns, weights = (np.concatenate([part[k] for part in parts]) for k in range(3))
        matrix = csr_matrix((weights.astype(np.int32), (rows, columns)), shape=shape)
        name = f"synapses {len(self.connections)} of {receiver.name}"
        if how == "Sparse":
            process = Sparse(weights=matrix, name=name, **settings)
            process.a_buff.init = np.zeros(receiver.size, np.int32)
            for targets, flying, _ in arrivals:
                process.a_buff.init[targets] += flying[0]
        else:
            steps = np.concatenate([np.full(part[2].size, part[3] - 1) for part in parts])
            delays = csr_matrix(
                (steps.astype(int), (rows, columns)), shape=shape
            )  # Lava asks for int
            longest = max(part[3] for part in parts) - 1
            process = DelaySparse(
                weights=matrix, delays=delays, max_delay=longest, name=name, **settings
            )
            process.a_buff.init = np.zeros(process.a_buff.shape, np.int32)
            for targets, flying, delay in arrivals:
                for step in range(delay):
                    process.a_buff.init[targets, step] += flying[step]
        self._wire(sender, process.s_in, process.a_out, receiver)
        self.connections.append(process)

    def _late(self, pre, steps):
        """Return the key of a pool that repeats `pre` so many steps later."""
        key = ("late", pre, steps)
        if key not in self.pools:
            early = self.pools[pre]
            ring = np.zeros((steps, early.size), np.int32)
            for job, name, index in early.members:
                ring[:, index] = job.history(name, steps)
            process = SpikeDelay(ring=ring)
            process.name = f"{early.name} {steps} steps later"
            flat = early.process.s_out.reshape((early.size,))
            flat.connect(process.s_in)
            self.pools[key] = Pool(process.name, "delay", None, [], early.size, process)
        return key

    def _convolve(self, job, each):
        (pre, _), (post, targets) = (self.places[job.number, each[end]] for end in ("pre", "post"))
        conv, kernel = each["conv"], job.kernel(each) << each["exponent"]
        # Lava convolves where PyTorch correlates: the kernel is turned; its layout is (x, y).
        turned = kernel.transpose(0, 3, 2, 1)[:, ::-1, ::-1]
        process = Conv(
            weight=np.tile(turned, (job.samples, 1, 1, 1)),
            input_shape=self.pools[pre].shape,
            padding=tuple(conv["padding"][::-1]),
            stride=tuple(conv["stride"][::-1]),
            dilation=tuple(conv["dilation"][::-1]),
            groups=conv["groups"] * job.samples,
            name=f"convolution {each['name']}",
        )
        buffer = np.zeros(self.pools[post].size, np.int32)
        buffer[targets] = in_flight(job, each, False)[0]
        process.a_buf.init = buffer.reshape(self.pools[post].shape)
        self._wire(self.pools[pre], process.s_in, process.a_out, self.pools[post])
        self.connections.append(process)

    def _wire(self, sender, s_in, a_out, receiver):
        joined(sender.process.s_out, s_in.shape).connect(s_in)
        joined(a_out, receiver.process.a_in.shape).connect(receiver.process.a_in)

    # running, and what came out

    def run(self):
        """Compile, start the OS processes, and take all steps."""
        largest = max(pool.size for pool in self.pools.values()) * np.dtype(np.int32).itemsize
        slots = int(np.clip(CHANNEL_BYTES // largest, 2, 16))
        find_models_once()
        self.recorder.run(
            RunSteps(num_steps=self.steps),
            run_cfg=Loihi2SimCfg(select_tag="fixed_pt"),
            compile_config={"pypy_channel_size": slots},
        )

    def results(self):
        """Return what each population did, and whether every process was alive in every step."""
        arrays = {}
        for number, process in enumerate(self.recorder.sources):
            pool = next(pool for pool in self.pools.values() if pool.process is process)
            for name in ["spikes", *recorded(process)]:
                raw = np.fromfile(self.folder / f"{name}_{number}.raw", np.int32)
                if raw.size != self.steps * pool.size:
                    raise SystemExit(
                        f"process {pool.name!r} was recorded in {raw.size // pool.size} of "
                        f"{self.steps} steps"
                    )
                rows = raw.reshape(self.steps, pool.size)
                for job, population, index in pool.members:
                    taken = rows[: job.steps, index].transpose(1, 0, 2)
                    arrays[f"{job.number}/{name}/{population}"] = taken
                    if pool.kind == "inputs" and (taken != job.raster(population)).any():
                        raise SystemExit(f"the input {population!r} did not arrive as it was sent")
        return arrays

    def summary(self):
        """Return which processes ran, and which are not Lava's own."""
        processes = [pool.process for pool in self.pools.values()]
        processes += [*self.connections, self.recorder]
        ours = (SpikeportLif, SpikeportNeuron, SpikeDelay, Recorder)
        counts = Counter(type(process).__name__ for process in processes)
        return {
            "lava_version": version("lava-nc"),
            "processes": dict(counts),
            "own_processes": [name.__name__ for name in ours if counts[name.__name__]],
            "own_reasons": self.own,
            "projections": self.projections,
        }


def source(pool, steps):
    """Return the RingBuffer that plays all inputs of a pool."""
    data = np.zeros((pool.size, steps), np.int32)
    for job, name, index in pool.members:
        data[index.ravel(), : job.steps] = (
            job.raster(name).transpose(0, 2, 1).reshape(index.size, -1)
        )
    process = RingBuffer(data=data.reshape((*(pool.shape or (pool.size,)), steps)))
    process.name = pool.name
    return process


def in_flight(job, synapses, graded):
    """Return what arrives in the first steps from spikes before the run: (delay, samples, n)."""
    delay, exponent = synapses["delay_steps"], synapses["exponent"]
    past = job.history(synapses["pre"], delay)
    if not past.any():
        return np.zeros((delay, job.samples, job.size(synapses["post"])), np.int32)
    weights = job.matrix(synapses).astype(np.int64)
    counts = past.astype(np.int64) if graded else (past != 0).astype(np.int64)
    sums = np.stack([(weights @ step.T).T for step in counts]).astype(np.int32)
    return sums << exponent if exponent > 0 else sums >> -exponent


def joined(port, shape):
    """Return `port`, reshaped if need be."""
    return port if port.shape == shape else port.reshape(shape)


def find_models_once():
    """Let Lava look for the models of each Process class once, and not for those of ours.

    Its search imports every file beside the class, again for each process: 0.1 s each time.
    """
    search = ProcGroupDiGraphs._find_proc_models
    known = {
        SpikeportLif: [SpikeportLifModel],
        SpikeportNeuron: [SpikeportNeuronModel],
        SpikeDelay: [SpikeDelayModel],
        Recorder: [RecorderModel],
    }

    def find(proc):
        if type(proc) not in known:
            known[type(proc)] = search(proc)
        return known[type(proc)]

    ProcGroupDiGraphs._find_proc_models = staticmethod(find)


# --- the program -----------------------------------------------------------------------------


class Watch(threading.Thread):
    """Ends the run with a message when an OS process of it dies, or at the deadline."""

    def __init__(self, recorder, folder, deadline):
        super().__init__(daemon=True)
        self.recorder, self.folder, self.done = recorder, folder, threading.Event()
        self.until = time.monotonic() + deadline if deadline else None

    @property
    def actors(self):
        """Lava's OS processes as far as they have been started, with the names of what they run."""
        runtime = self.recorder.runtime
        started = getattr(runtime, "_messaging_infrastructure", None)
        if started is None:
            return []
        names = [process.name for process in runtime._executable.proc_builders]
        names += ["runtime service"] * len(started.actors)
        return list(zip(names, started.actors, strict=False))

    def run(self):
        """Look at every OS process and at the clock until all is done."""
        while not self.done.wait(0.05):
            actors = {actor.sentinel: name for name, actor in self.actors if actor.pid}
            for sentinel in connection.wait(list(actors), timeout=0.2):
                if not self.done.wait(0.5):  # the failure itself may still be on its way
                    self.end(f"process {actors[sentinel]!r} died {self.where()}")
            if self.until and time.monotonic() > self.until and not self.done.is_set():
                self.end(f"stopped at the deadline, {self.where()}")

    def where(self):
        """Return the last word of the recorder."""
        path = self.folder / "progress"
        word = path.read_text().strip() if path.exists() else ""
        return word or "before the first step"

    def end(self, message):
        """Say what failed in which process, and end all of them: they wait for each other."""
        for _, actor in self.actors:
            if actor.exception:
                print(actor.exception[1], file=sys.stderr)
        print(message, file=sys.stderr, flush=True)
        for _, actor in self.actors:
            with contextlib.suppress(ProcessLookupError):
                os.kill(actor.pid, signal.SIGKILL)
        os._exit(1)


def main():
    """Run everything that the input asks for; write traces, or nothing."""
    parser = argparse.ArgumentParser(description="Runs the networks of this folder in Lava.")
    parser.add_argument("--input", required=True, type=Path, help="npz, see README.md")
    parser.add_argument("--out", required=True, type=Path, help="npz to write")
    parser.add_argument("--deadline", type=float, default=0, help="seconds; 0: none")
    parser.add_argument("--work", type=Path, help="folder for raw recordings and progress")
    options = parser.parse_args()
    here = Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory(prefix="run-lava-") as scratch:
        folder = options.work or Path(scratch)
        traces = execute(here, options.input, folder, options.deadline)
        part = options.out.with_name(options.out.name + ".part")
        with open(part, "wb") as file:
            np.savez(file, **traces)
        os.replace(part, options.out)


def execute(bundle, given, folder, deadline):
    """Return the arrays of the traces file."""
    began = time.monotonic()
    spec = json.loads((bundle / "network.json").read_text())
    with np.load(bundle / "arrays.npz") as arrays, np.load(given) as inputs:
        known, given = dict(arrays), dict(inputs)
    jobs = [Job(number, each, known, given) for number, each in enumerate(spec["jobs"])]
    network = Network(jobs, folder)
    watch = Watch(network.recorder, folder, deadline)
    watch.start()
    try:
        network.run()
    except Exception:
        traceback.print_exc()
        watch.end(f"Lava failed {watch.where()}")
    watch.done.set()
    watch.join()
    network.recorder.stop()
    summary = {**network.summary(), "seconds": time.monotonic() - began}
    return {**network.results(), "summary": np.array(json.dumps(summary))}


if __name__ == "__main__":
    main()
