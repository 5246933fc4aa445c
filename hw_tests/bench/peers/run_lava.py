"""Lava's fixed-point models, the arithmetic that all are compared with; variants dense, sparse."""

from __future__ import annotations

from common import arguments, cpu_of_all_processes, measure

import numpy as np  # isort: skip
import scipy.sparse  # isort: skip
from lava.magma.core.run_conditions import RunSteps  # isort: skip
from lava.magma.core.run_configs import Loihi2SimCfg  # isort: skip
from lava.proc.dense.process import Dense  # isort: skip
from lava.proc.io.source import RingBuffer  # isort: skip
from lava.proc.lif.process import LIF  # isort: skip
from lava.proc.sparse.process import Sparse  # isort: skip
from lava_counter.counter import Counter, PyCounter  # isort: skip
from workloads import DECAY_U, DECAY_V  # isort: skip


def weights_of(workload, number, variant):
    """Return a Dense or Sparse process."""
    if variant == "dense":
        return Dense(weights=workload.matrix(number).T, num_weight_bits=8)
    pre, post, _, targets, weights = workload.connections[number]
    ends = targets, workload.sources(number)
    shape = workload.sizes[post], workload.sizes[pre]
    matrix = scipy.sparse.csr_matrix((weights.astype(np.int32), ends), shape=shape)
    return Sparse(weights=matrix, num_weight_bits=8)


def builder(variant):
    """Return the function from a workload to (a process, counters, configuration, steps)."""

    def build(workload):
        senders = [RingBuffer(data=workload.raster().T.astype(np.int32))]
        counters = []
        for size, threshold in zip(workload.sizes[1:], workload.thresholds[1:]):  # noqa: B905
            cells = {"vth": threshold, "bias_mant": 0, "du": DECAY_U - 1, "dv": DECAY_V}
            senders.append(LIF(shape=(size,), **cells))
            counters.append(Counter(shape=(size,)))
            senders[-1].s_out.connect(counters[-1].a_in)
        for number, (pre, post, *_) in enumerate(workload.connections):
            weights = weights_of(workload, number, variant)
            senders[pre].s_out.connect(weights.s_in)
            weights.a_out.connect(senders[post].a_in)
        models = {Counter: PyCounter}
        configuration = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=models)
        senders[-1].create_runtime(configuration)
        return senders[-1], counters, configuration, workload.steps

    return build


def run(model):
    """Take the steps."""
    process, _, configuration, steps = model
    process.run(condition=RunSteps(num_steps=steps), run_cfg=configuration)


def count(model):
    """Return the spikes, and end Lava's processes."""
    process, counters, *_ = model
    spikes = [counter.spikes.get()[0] for counter in counters]
    process.stop()
    return spikes


def main():
    given = arguments()
    build = builder(given.variant)
    measure(given, build, run, count, cpu_of_all_processes, version="0.10.0")


if __name__ == "__main__":
    main()
