"""The benchmark's networks in Lava 0.10: every spike, and every bit of u and v, equals ours.

The benchmark itself compares totals of spikes, as other simulators tell no more; its reference
is our NumPy emulator, and this is what it stands on.
"""

from __future__ import annotations

import numpy as np
import pytest

from hw_tests.bench import workloads
from hw_tests.bench.ours import program_of
from spikeport.backends import emulator

LENGTHS = {"w1": 100, "w2_1k": 300, "w3": 100}


@pytest.mark.parametrize("name", LENGTHS)
def test_spike_rasters_of_the_benchmark_equal_lavas(lava, name):
    workload = workloads.MADE[name](name).shortened(LENGTHS[name])
    program = program_of(workload)
    inputs = {"p0": workload.raster()[None].astype(np.uint8)}
    probe = [f"{neurons}.{state}" for neurons in program.neurons for state in ("u", "v")]
    ours = emulator.run(program, inputs, workload.steps, probe=probe)
    theirs = lava.run(program, inputs, workload.steps)
    for neurons in program.neurons:
        raster = ours.spikes[neurons].dense()
        assert np.argwhere(raster != theirs.spikes[neurons].dense()).tolist() == []
    for key in probe:
        np.testing.assert_array_equal(ours.probes[key], theirs.probes[key])
    spikes = [ours.spikes[neurons].total for neurons in program.neurons]
    assert min(spikes) > 20  # every layer fires
