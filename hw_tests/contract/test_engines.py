"""Both engines give the same bits: on random networks, and whatever the order and the threads.

`python -m hw_tests.fuzz_engine` does the same on thousands.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hw_tests.engine_features import WANTED
from hw_tests.fuzz_engine import try_network
from hw_tests.unit.test_engine_choice import chain
from hw_tests.xylo_networks import as_program, draw
from spikeport.backends import emulator
from spikeport.backends.emulator.engines import is_built
from spikeport.compiler.errors import DataError
from spikeport.compiler.program import LAVA, XYLO
from spikeport.compiler.traces import Events

SEEDS = range(200)
PIECES = [SEEDS[k : k + 20] for k in range(0, len(SEEDS), 20)]

pytestmark = pytest.mark.skipif(not is_built(), reason="the C engine was not built")
met: Counter[str] = Counter()


@pytest.mark.parametrize("seeds", PIECES, ids=lambda seeds: f"{seeds[0]} to {seeds[-1]}")
def test_c_and_numpy_agree_in_every_bit_of_every_step(seeds):
    for seed in seeds:
        tried = try_network(seed)
        met.update(tried.features)
        assert tried.trouble == [], f"seed {seed}"


def test_the_networks_met_every_format_and_rule():
    if met["datapath lava"] < len(SEEDS) // 10:
        pytest.skip("the networks were not run")
    assert [name for name in WANTED if not met[name]] == []


def test_neurons_of_another_datapath_are_left_to_numpy():
    of_xylo, spikes = as_program(draw(0))
    late = tuple(replace(each, delay_steps=1) for each in of_xylo.synapses)
    ones = {"in": np.ones((1, 2, 3), int)}
    for program, x in (
        (replace(of_xylo, synapses=late, arithmetic=LAVA), spikes),
        (replace(chain(), arithmetic=XYLO), ones),
    ):
        with pytest.raises(DataError, match="are of another datapath"):
            emulator.run(program, x, engine="c")
        assert emulator.run(program, x).extra["engine"] == "numpy"


def events(neuron, offsets, samples=1, steps=2, size=3):
    return Events(np.array(neuron, np.int32), np.array(offsets), None, samples, steps, (size,))


def test_events_that_point_nowhere_are_refused():
    program = chain()
    for wrong in (
        events([0, 3], [0, 1, 2]),
        events([-1, 2], [0, 1, 2]),
        events([0, 1], [0, 1, 3]),
        events([0, 1], [0, 3, 2]),
        events([0, 1], [0, 2]),
        events([1, 1], [0, 2, 2]),
        events([2, 1], [0, 2, 2]),
    ):
        with pytest.raises(DataError, match="the events of 'in' are not those"):
            emulator.run(program, {"in": wrong})


def test_events_and_a_raster_are_the_same_input():
    raster = np.random.default_rng(5).integers(0, 2, (2, 6, 3))
    raster[0, 3] = 0
    dense = emulator.run(chain(), {"in": raster})
    listed = emulator.run(chain(), {"in": Events.from_dense(raster, (3,))})
    np.testing.assert_array_equal(dense.spikes["a"].dense(), listed.spikes["a"].dense())
    assert listed.spikes["a"].total == raster[:, :-1].sum() > 5
