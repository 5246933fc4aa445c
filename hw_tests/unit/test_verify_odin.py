"""The verifier on ODIN, whose rows are its columns' own: each planted fault is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import numpy as np
import pytest

from hw_tests.broken_images import named, with_entry, with_plan_core
from hw_tests.small_chips import chip_like, edge, program_of
from spikeport.compiler.image import Image
from spikeport.compiler.place.crossbar.plan import NOWHERE
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify

Fault = Callable[[Image], Image]


@cache
def on_odin() -> Image:
    rng = np.random.default_rng(4)
    net = program_of(
        {"in": 3, "a": 5},
        edge("in", "a", rng.integers(1, 8, (5, 3)), 1, "signed", 4),
        edge("a", "a", rng.integers(-3, 4, (5, 5)), 1, "signed", 4),
        kind="IF",
    )
    return place(net, chip_like("odin"))


def row_of_another_neuron(image: Image) -> Image:
    neurons = image.plan.cores[0].axon_neuron.copy()
    number = image.plan.populations.index("a")
    rows = np.flatnonzero(image.plan.cores[0].axon_population == number)[:2]
    return with_entry(image, 0, "axon_neuron", int(rows[0]), int((neurons[rows[0]] + 1) % 5))


def input_on_the_row_of_a_column(image: Image) -> Image:
    return with_entry(image, 0, "axon_population", 0, image.plan.populations.index("in"))


def row_of_a_neuron_without_its_column(image: Image) -> Image:
    """The first row of an input is said to be a neuron's."""
    first = image.plan.cores[0].columns
    return with_entry(image, 0, "axon_population", first, image.plan.populations.index("a"))


def row_with_both_signs(image: Image) -> Image:
    crossed = image.plan.cores[0].crossings.copy()
    row = int(np.flatnonzero(np.diff(crossed.indptr))[0])
    crossed.data[crossed.indptr[row]] *= -1
    return with_plan_core(image, 0, crossings=crossed)


def column_with_a_target(image: Image) -> Image:
    return with_entry(image, 0, "target_core", 0, 0)


def column_that_is_silent(image: Image) -> Image:
    core = image.plan.cores[0]
    silent = np.where(core.column_neuron == 0, NOWHERE, core.target_core)
    return with_plan_core(image, 0, target_core=silent)


ODIN_FAULTS: dict[Fault, str] = {
    row_of_another_neuron: "is not that of its own column's neuron",
    input_on_the_row_of_a_column: "takes an input, and the spikes of its own column",
    row_of_a_neuron_without_its_column: "takes a neuron's spikes and has no column",
    row_with_both_signs: "has a weight of the other sign",
    column_with_a_target: "a column of core 0 has a target of its own",
    column_that_is_silent: "an axon of core 0 has a source that does not send",
}


@pytest.mark.parametrize("fault", ODIN_FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_on_odin_is_named(fault: Fault):
    assert ODIN_FAULTS[fault] in named(fault(on_odin()))


def test_a_good_image_passes():
    assert verify(on_odin(), full=True) is on_odin()
