"""Crossbars, stepped by hand from the plan alone, spike as the emulator says the Program does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import spikeport as sp
from hw_tests.crossbar_programs import changed, normal, on, program, random_network, random_program
from hw_tests.crossbar_reference import leaving, run_crossbars
from spikeport.backends.emulator.simulator import run
from spikeport.compiler.check import check
from spikeport.compiler.chip import Chip
from spikeport.compiler.clocked import Clocked, Projection
from spikeport.compiler.errors import FitError
from spikeport.compiler.image import Image
from spikeport.compiler.passes.retime_for import retime_for
from spikeport.compiler.place.place import place

STEPS = 24

TRUENORTH = sp.chip("truenorth")
SMALL = changed(TRUENORTH, neurons=14, axons=40)  # so that small networks need many cores
NARROW = changed(TRUENORTH, axons=48)  # so that splitters run out of axons before columns
ODIN = sp.chip("odin")
BRAINSCALES = sp.chip("brainscales2")


def assert_crossbars_spike_as_the_emulator(image: Image, seed: int) -> int:
    """Compare every spike of every neuron; return how many there are."""
    rng = np.random.default_rng(seed)
    given = {
        name: rng.random((1, STEPS, image.program.populations[name].size)) < 0.4
        for name in image.program.inputs
    }
    traces = run(image, given)
    steps = traces.steps
    by_hand = run_crossbars(image, {name: x[0] for name, x in given.items()}, steps)
    for name in image.program.neurons:
        wanted = traces.spikes[name].dense()[0].reshape(steps, -1)
        assert np.array_equal(by_hand[name], wanted), name
    return sum(int(raster.sum()) for name, raster in by_hand.items() if name != "bias")


@pytest.mark.parametrize("chip", [TRUENORTH, SMALL, NARROW], ids=["truenorth", "small", "narrow"])
@pytest.mark.parametrize("seed", range(22))
def test_the_crossbars_of_a_random_network_spike_as_the_emulator_says(seed: int, chip: Chip):
    assert_crossbars_spike_as_the_emulator(on(random_network(seed), chip), seed)


@pytest.mark.parametrize("seed", range(8))
def test_copies_take_spare_columns_where_splitters_would_take_too_many_cores(seed: int):
    network = random_network(seed)
    roomy = on(network, SMALL)
    tight = on_fewer(network, SMALL, len(roomy.cores) - 1)
    if tight is None:
        return  # not a column was spare
    assert tight.resources["splitters"] < roomy.resources["splitters"]
    assert tight.resources["copies"] > roomy.resources["copies"]
    assert_crossbars_spike_as_the_emulator(tight, seed)


def on_fewer(network: Clocked, chip: Chip, cores: int) -> Image | None:
    """Return it on a chip of so many cores, None if it does not fit there."""
    try:
        return on(network, changed(chip, cores=cores)) if cores else None
    except FitError:
        return None


def test_random_networks_use_all_that_there_is():
    images = [on(random_network(seed), SMALL) for seed in range(30)]
    spikes = [assert_crossbars_spike_as_the_emulator(image, 0) for image in images[:8]]
    used = [image.resources for image in images]
    assert np.count_nonzero(spikes) >= 7
    assert sum(each["splitters"] > 0 for each in used) > 25
    assert sum(each["copies"] > 0 for each in used) > 10
    tight = [on_fewer(random_network(s), SMALL, used[s]["cores"] - 1) for s in range(12)]
    assert sum(image is not None for image in tight) >= 3
    names = [set(image.program.populations) for image in images]
    assert any("bias" in each for each in names)  # as an axon
    leaks = [any(p.cell.bias_mantissa.any() for n, p in image.program.populations.items()
                 if p.cell is not None and n != "bias") for image in images]  # fmt: skip
    assert any(leaks)
    assert any("relay" in name for each in names for name in each)


def in_a_hurry(seed: int) -> Clocked:
    """Return a random network with a loop of one step."""
    network = random_network(seed)
    rng = np.random.default_rng(seed)
    size = network.populations["a"].size
    loop = Projection("a-a", "a", "a", rng.normal(-0.1, 0.4, (size, size)), 1, True)
    return replace(network, projections=(*network.projections, loop))


@pytest.mark.parametrize("seed", range(8))
def test_a_loop_of_one_step_has_copies_and_no_splitter(seed: int):
    image = on(in_a_hurry(seed), changed(TRUENORTH, axons=60))
    late = [each for each in image.program.synapses if each.delay_steps > 1]
    if not late:
        assert image.resources["splitters"] == 0
    assert image.resources["copies"] > 0
    assert_crossbars_spike_as_the_emulator(image, seed)


@pytest.mark.parametrize("seed", range(8))
def test_spikes_between_neurons_take_two_steps_unless_a_loop_has_but_one(seed: int):
    slow, fast = (retime_for(normal(net(seed)), TRUENORTH) for net in (random_network, in_a_hurry))
    between = {p.delay for p in slow.projections if p.pre in slow.neurons}
    assert not between or min(between) == 2
    assert min(p.delay for p in fast.projections if p.pre in fast.neurons) == 1


def test_a_neuron_that_is_read_out_and_heard_has_a_column_for_the_host():
    for seed in range(12):
        image = on(random_network(seed), SMALL)
        (output,) = image.program.outputs.values()
        size = image.program.populations[output].size
        assert leaving(image) == {(output, neuron) for neuron in range(size)}


def test_a_neuron_with_more_targets_than_an_axon_feeds_splitters_has_copies_that_feed_them():
    chip = changed(TRUENORTH, neurons=4)
    net = program(chip, {"in": 2, "a": 1, "b": 36}, ("in", "a", np.array([[30, 9]])),
                  ("a", "b", np.full((36, 1), 25)))  # fmt: skip
    later = (net.synapses[0], replace(net.synapses[1], delay_steps=3))
    image = check(place(replace(net, synapses=later), chip), after="place")
    # nine cores hold b: four, four and one target; the last needs no splitter
    assert (image.resources["copies"], image.resources["splitters"]) == (2, 8)
    assert_crossbars_spike_as_the_emulator(image, 0)


def test_a_core_is_filled_to_its_last_row_and_column():
    net = program(TRUENORTH, {"in": 256, "a": 256}, ("in", "a", np.full((256, 256), 3)))
    (core,) = check(place(net, TRUENORTH), after="place").cores
    assert (core.synapses, core.load) == (65536, 1.0)
    more = program(TRUENORTH, {"in": 256, "a": 257}, ("in", "a", np.full((257, 256), 3)))
    assert len(place(more, TRUENORTH).cores) == 2


# --- one crossbar --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_the_crossbar_of_odin_spikes_as_the_emulator_says(seed: int):
    image = check(place(random_program(ODIN, seed, 25), ODIN), after="place")
    (core,) = image.plan.cores
    assert core.axons <= 256
    assert_crossbars_spike_as_the_emulator(image, seed)


def test_a_neuron_of_odin_that_sends_with_both_signs_has_a_copy():
    both = program(ODIN, {"in": 2, "a": 1, "b": 2}, ("in", "a", np.array([[3, -2]])),
                   ("a", "b", np.array([[3], [-2]])))  # fmt: skip
    (use,) = place(both, ODIN).cores
    assert use.held["copies"] == (1, None)
    assert use.held["compartments"] == (4, 256)
    assert use.held["axons"] == (6, 256)  # four columns have rows of their own, two are inputs'
    one = replace(both, synapses=(both.synapses[0],))
    assert place(one, ODIN).cores[0].held["copies"] == (0, None)


@pytest.mark.parametrize("seed", range(6))
def test_the_crossbars_of_brainscales_hold_every_weight_in_a_row_of_its_sign(seed: int):
    chip = changed(BRAINSCALES, axons=60, neurons=16)
    image = check(place(random_program(chip, seed, 14), chip), after="place")
    for core in image.plan.cores:
        sign = np.where(core.axon_type == 1, -1, 1)
        assert (core.crossings.tocoo().data * sign[core.crossings.tocoo().row] > 0).all()
    assert_crossbars_spike_as_the_emulator(image, seed)
