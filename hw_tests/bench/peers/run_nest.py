"""NEST's `iaf_psc_exp` at 1 ms, float64, one thread: the same difference equation, rescaled."""

from __future__ import annotations

from common import arguments, measure

import math  # isort: skip
import nest  # isort: skip
import numpy as np  # isort: skip
from workloads import DECAY_U, DECAY_V  # isort: skip

TAU_U, TAU_V = (-1 / math.log(1 - decay / 4096) for decay in (DECAY_U, DECAY_V))
# What a unit of current adds to the potential in a step, by the exact solution with C_m = 1.
GAIN = TAU_U * TAU_V / (TAU_V - TAU_U) * (math.exp(-1 / TAU_V) - math.exp(-1 / TAU_U))
CELL = {
    "C_m": 1.0, "E_L": 0.0, "V_m": 0.0, "V_reset": 0.0, "I_e": 0.0, "t_ref": 0.0,
    "tau_m": TAU_V, "tau_syn_ex": TAU_U, "tau_syn_in": TAU_U,
}  # fmt: skip


def build(workload):
    """Return (spike recorders, steps)."""
    nest.ResetKernel()
    nest.set_verbosity("M_ERROR")
    nest.SetKernelStatus({"resolution": 1.0, "local_num_threads": 1})
    steps, neurons = workload.events()
    order = np.argsort(neurons, kind="stable")
    ends = np.cumsum(np.bincount(neurons, minlength=workload.sizes[0]))[:-1]
    times = [{"spike_times": each} for each in np.split(steps[order] + 1.0, ends)]
    groups, recorders = [nest.Create("spike_generator", workload.sizes[0], times)], []
    for size, threshold in zip(workload.sizes[1:], workload.thresholds[1:]):  # noqa: B905
        groups.append(nest.Create("iaf_psc_exp", size, {**CELL, "V_th": float(threshold)}))
        recorders.append(nest.Create("spike_recorder"))
        nest.Connect(groups[-1], recorders[-1])
    for number, (pre, post, _, targets, weights) in enumerate(workload.connections):
        first = groups[pre][0].global_id, groups[post][0].global_id
        nest.Connect(
            workload.sources(number).astype(int) + first[0],
            targets.astype(int) + first[1],
            "one_to_one",
            {
                "synapse_model": "static_synapse",
                "weight": weights / GAIN,
                "delay": np.ones(len(weights)),
            },
        )
    nest.Prepare()
    return recorders, workload.steps


def run(model):
    """Take the steps; a spike of step t arrives two later, by NEST's way of counting."""
    nest.Run(model[1] + 2.0)


def count(model):
    """Return the spikes of every group."""
    nest.Cleanup()
    return [recorder.n_events for recorder in model[0]]


def main():
    measure(arguments(), build, run, count, version=nest.__version__)


if __name__ == "__main__":
    main()
