"""SANA-FE on its own description of Loihi; variants are its timing models (`simple`).

Its state is float64 and it tells the spikes of all groups in one number. It is under the GPL:
this script runs it in a process of its own, and nothing here imports it.
"""

from __future__ import annotations

from common import arguments, measure

import sanafe  # isort: skip
from workloads import DECAY_U, DECAY_V  # isort: skip

ROOM = 1024  # neurons of a core


def build(workload):
    """Return (chip, spikes of the input, steps, results)."""
    description = sanafe.load_loihi()
    cores, network = iter(description.cores()), sanafe.Network()
    raster = workload.raster()
    parts = {
        "default_synapse_hw_name": "loihi_dense_synapse",
        "default_dendrite_hw_name": "loihi_dendrites",
    }
    groups = []
    for number, size in enumerate(workload.sizes):
        name, soma, cell = f"population{number}", "loihi_lif", {}
        if number:
            cell = {
                "threshold": float(workload.thresholds[number]),
                "leak_decay": 1 - DECAY_V / 4096,
                "input_decay": 1 - DECAY_U / 4096,
                "reset": 0.0,
                "force_update": True,
            }
        else:
            soma = "loihi_inputs[0]"
        groups.append(network.create_neuron_group(name, size, cell, soma_hw_name=soma, **parts))
        for neuron in range(size):
            core = next(cores) if neuron % ROOM == 0 else core  # noqa: F821
            if not number:
                groups[0][neuron].set_attributes(
                    soma_hw_name=f"loihi_inputs[{neuron % ROOM}]",
                    model_attributes={"spikes": raster[:, neuron].tolist()},
                )
            groups[number][neuron].map_to_core(core)
    for number, (pre, post, _, targets, weights) in enumerate(workload.connections):
        pairs = list(zip(workload.sources(number).tolist(), targets.tolist()))  # noqa: B905
        attributes = {"weight": weights.astype(float).tolist()}
        groups[pre].connect_neurons_sparse(groups[post], attributes, pairs)
    chip = sanafe.SpikingChip(description)
    chip.load(network)
    return chip, int(raster.sum()), workload.steps, {}


def main():
    given = arguments()

    def run(model):
        chip, _, steps, results = model
        results.update(chip.sim(steps, timing_model=given.variant, processing_threads=1))

    def count(model):
        _, inputs, _, results = model
        return [results["neurons_fired"] - inputs]

    measure(given, build, run, count, version="2.2.9")


if __name__ == "__main__":
    main()
