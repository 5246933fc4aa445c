"""nengo-loihi's emulator, from blocks: its builder would choose weights of its own."""

from __future__ import annotations

from common import arguments, measure

import nengo_loihi  # isort: skip
import numpy as np  # isort: skip
from nengo_loihi.block import Axon, LoihiBlock, Synapse  # isort: skip
from nengo_loihi.builder import Model  # isort: skip
from nengo_loihi.emulator import EmulatorInterface  # isort: skip
from nengo_loihi.inputs import SpikeInput  # isort: skip
from workloads import DECAY_U, DECAY_V  # isort: skip


def block(size, threshold):
    """Return a group of neurons."""

    def same(value):
        return np.full(size, value, np.int32)

    made = LoihiBlock(size)
    cells = made.compartment
    cells.vth, cells.bias, cells.refract_delay = same(64 * threshold), same(0), same(0)
    cells.decay_u, cells.decay_v = same(DECAY_U - 1), same(DECAY_V)
    cells.scale_u = cells.scale_v = False
    cells.noise_exp, cells.noise_offset = same(0), same(0)
    cells.enable_noise = np.zeros(size, bool)
    cells.vmin, cells.vmax = 1 - (1 << 23), (1 << 23) - 1
    return made


def build(workload):
    """Return (emulator, blocks, steps)."""
    model, inputs = Model(), SpikeInput(workload.sizes[0])
    for step, fires in enumerate(workload.raster()):
        inputs.add_spikes(step + 1, np.flatnonzero(fires), permanent=True)
    model.add_input(inputs)
    blocks = [inputs]
    for size, threshold in zip(workload.sizes[1:], workload.thresholds[1:]):  # noqa: B905
        blocks.append(block(size, threshold))
        model.add_block(blocks[-1])
    for pre, post, pointers, targets, weights in workload.connections:
        size = workload.sizes[pre]
        rows = [slice(*pointers[row : row + 2]) for row in range(size)]
        synapse, axon = Synapse(size), Axon(size)
        synapse.weights = [64 * weights[row].astype(np.int32)[None, :] for row in rows]
        synapse.indices = [targets[row][None, :] for row in rows]
        synapse.axon_to_weight_map = {row: row for row in range(size)}
        synapse.axon_compartment_bases = np.zeros(size, np.int32)
        blocks[post].add_synapse(synapse)
        axon.target = synapse
        blocks[pre].add_axon(axon)
    return EmulatorInterface(model, seed=0), blocks[1:], workload.steps


def count(model):
    """Return the spikes of every block."""
    emulator, blocks, _ = model
    totals, slices = emulator.compartment.spike_count, emulator.block_info.slices
    return [totals[slices[each]].sum() for each in blocks]


def main():
    version = nengo_loihi.__version__
    measure(arguments(), build, lambda model: model[0].run_steps(model[2]), count, version=version)


if __name__ == "__main__":
    main()
