"""The verifier on TrueNorth's crossbars, copies and splitters: each planted fault is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from hw_tests.broken_images import (
    named,
    with_entry,
    with_held,
    with_limits,
    with_plan,
    with_plan_core,
    with_route,
    with_use,
)
from hw_tests.small_chips import chip_like, edge, program_of
from spikeport.compiler.image import Image
from spikeport.compiler.place.crossbar.plan import (
    COPY,
    EVERYWHERE,
    ITSELF,
    NOWHERE,
    OUT,
    SPLITTER,
    CrossbarCore,
)
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify

Fault = Callable[[Image], Image]
Array = np.ndarray[Any, Any]


def drawn(rng: np.random.Generator, post: int, pre: int, share: float) -> Array:
    return np.where(rng.random((post, pre)) < share, rng.choice([-2, -1, 1, 2], (post, pre)), 0)


@cache
def on_truenorth() -> Image:
    """Return a net that needs copies and splitters, on cores of 14 neurons."""
    rng = np.random.default_rng(2)
    net = program_of(
        {"in": 4, "a": 6, "b": 16},
        edge("in", "a", drawn(rng, 6, 4, 1.0)),
        edge("a", "b", drawn(rng, 16, 6, 0.9), delay=4),
        edge("b", "b", drawn(rng, 16, 16, 0.15)),
        kind="IF",
    )
    image = place(net, chip_like("truenorth", (4, 4, 1), 2, neurons=14, axons=40), 2)
    kinds = np.concatenate([each.column_kind for each in image.plan.cores])
    assert set(kinds.tolist()) == {ITSELF, COPY, SPLITTER}
    return image


# --- finding and changing ----------------------------------------------------------------------


def core_with(image: Image, kind: int) -> int:
    """Return the place in the plan of the first core that has such a column."""
    return next(k for k, c in enumerate(image.plan.cores) if (c.column_kind == kind).any())


def column_of(image: Image, at: int, kind: int) -> int:
    return int(np.flatnonzero(image.plan.cores[at].column_kind == kind)[0])


def with_crossing(image: Image, at: int, row: int, column: int, value: int) -> Image:
    """Return the image with one crossing changed, and the account of the core with it."""
    crossed = image.plan.cores[at].crossings.tolil(copy=True)
    crossed[row, column] = value
    crossings = crossed.tocsr()
    changed = with_plan_core(image, at, crossings=crossings)
    return with_use(changed, at, synapses=int(crossings.nnz))


def sending(image: Image, kind: int) -> tuple[int, int]:
    """Return core and column of one of a kind that sends to an axon."""
    for at, core in enumerate(image.plan.cores):
        found = np.flatnonzero((core.column_kind == kind) & (core.target_core >= 0))
        if found.size:
            return at, int(found[0])
    raise AssertionError("none sends")


def a_crossing(core: CrossbarCore, column: int) -> int:
    return int(core.crossings.tocsc()[:, [column]].indices[0])


# --- faults ------------------------------------------------------------------------------------


def other_populations(image: Image) -> Image:
    return with_plan(image, populations=("in", "b", "a"))


def core_left_out_of_the_plan(image: Image) -> Image:
    return with_plan(image, cores=image.plan.cores[1:])


def axons_without_types(image: Image) -> Image:
    return with_plan_core(image, 0, axon_type=image.plan.cores[0].axon_type[1:])


def neuron_beyond_its_population(image: Image) -> Image:
    return with_entry(image, 0, "column_neuron", 0, 99)


def neuron_in_another_column(image: Image) -> Image:
    """A copy stands for the neuron itself."""
    at = core_with(image, ITSELF)
    return with_entry(image, at, "column_kind", column_of(image, at, ITSELF), COPY)


def too_many_columns(image: Image) -> Image:
    return with_limits(with_limits(image, compartments=13), neurons=13)


def too_many_axons(image: Image) -> Image:
    return with_limits(image, axons=max(use.used("axons") for use in image.cores) - 1)


def copies_misstated(image: Image) -> Image:
    return with_held(image, core_with(image, COPY), copies=(0, None))


def splitters_misstated(image: Image) -> Image:
    return with_held(image, core_with(image, SPLITTER), splitters=(0, None))


def crossings_misstated(image: Image) -> Image:
    return with_use(image, 0, synapses=0)


def axon_type_beyond_four(image: Image) -> Image:
    return with_entry(image, 0, "axon_type", 0, 4)


def axon_type_exchanged(image: Image) -> Image:
    """All types are allowed, the weights differ."""
    at = core_with(image, ITSELF)
    column = column_of(image, at, ITSELF)
    core = image.plan.cores[at]
    row = a_crossing(core, column)
    weights = core.type_weights[column]
    other = int(np.flatnonzero(weights != weights[core.axon_type[row]])[0])
    return with_entry(image, at, "axon_type", row, other)


def weight_beyond_nine_bits(image: Image) -> Image:
    return with_entry(image, core_with(image, ITSELF), "type_weights", (0, 0), 256)


def five_types(image: Image) -> Image:
    wide = np.zeros((image.plan.cores[0].column_neuron.size, 5), np.int64)
    return with_plan_core(image, 0, type_weights=wide)


def crossing_that_is_no_bit(image: Image) -> Image:
    at = core_with(image, ITSELF)
    column = column_of(image, at, ITSELF)
    return with_crossing(image, at, a_crossing(image.plan.cores[at], column), column, 2)


def crossing_missing(image: Image) -> Image:
    at = core_with(image, ITSELF)
    column = column_of(image, at, ITSELF)
    return with_crossing(image, at, a_crossing(image.plan.cores[at], column), column, 0)


def crossing_added_to_a_copy(image: Image) -> Image:
    at = core_with(image, COPY)
    column = column_of(image, at, COPY)
    core = image.plan.cores[at]
    inward = set(core.crossings.tocsc()[:, [column]].indices.tolist())
    free = next(row for row in range(core.axons) if row not in inward
                and core.type_weights[column, core.axon_type[row]])  # fmt: skip
    return with_crossing(image, at, free, column, 1)


def weight_of_a_type_changed(image: Image) -> Image:
    at = core_with(image, ITSELF)
    column = column_of(image, at, ITSELF)
    kind = image.plan.cores[at].axon_type[a_crossing(image.plan.cores[at], column)]
    return with_entry(image, at, "type_weights", (column, kind), 9)


def column_to_no_axon(image: Image) -> Image:
    at, column = sending(image, COPY)
    return with_entry(image, at, "target_axon", column, 40)


def column_to_no_core(image: Image) -> Image:
    at, column = sending(image, COPY)
    return with_entry(image, at, "target_core", column, 31)


def column_to_an_input(image: Image) -> Image:
    number = image.plan.populations.index("in")
    end = next(k for k, c in enumerate(image.plan.cores) if number in c.axon_population)
    row = int(np.flatnonzero(image.plan.cores[end].axon_population == number)[0])
    at, column = sending(image, COPY)
    aimed = with_entry(image, at, "target_axon", column, row)
    return with_entry(aimed, at, "target_core", column, image.plan.cores[end].core)


def splitter_to_another_neurons_axon(image: Image) -> Image:
    at, column = sending(image, SPLITTER)
    core = image.plan.cores[at]
    end = next(c for c in image.plan.cores if c.core == core.target_core[column])
    mine = (end.axon_population == core.column_population[column]) & (
        end.axon_neuron == core.column_neuron[column]
    )
    other = int(np.flatnonzero(~mine & (end.axon_population > 0))[0])
    return with_entry(image, at, "target_axon", column, other)


def two_columns_to_one_axon(image: Image) -> Image:
    """A splitter sends where its neighbour sends, which repeats the same neuron."""
    for at, core in enumerate(image.plan.cores):
        same = (
            (core.column_kind[1:] == SPLITTER)
            & (core.column_neuron[1:] == core.column_neuron[:-1])
            & (core.column_population[1:] == core.column_population[:-1])
            & (core.target_core[1:] == core.target_core[:-1])
        )
        if same.any():
            column = int(np.flatnonzero(same)[0])
            return with_entry(image, at, "target_axon", column + 1, int(core.target_axon[column]))
    raise AssertionError("no two splitters of one neuron send to one core")


def axon_that_nothing_sends_to(image: Image) -> Image:
    at, column = sending(image, COPY)
    return with_entry(image, at, "target_core", column, NOWHERE)


def column_later_than_its_axon(image: Image) -> Image:
    at, column = sending(image, COPY)
    return with_entry(image, at, "target_delay", column, 2)


def column_and_axon_later(image: Image) -> Image:
    """The two agree, the Program does not."""
    at, column = sending(image, COPY)
    core = image.plan.cores[at]
    end = next(k for k, c in enumerate(image.plan.cores) if c.core == core.target_core[column])
    later = with_entry(image, at, "target_delay", column, 5)
    return with_entry(later, end, "axon_delay", int(core.target_axon[column]), 5)


def delay_beyond_fifteen(image: Image) -> Image:
    at, column = sending(image, COPY)
    return with_entry(image, at, "target_delay", column, 16)


def input_axon_beyond_fifteen(image: Image) -> Image:
    number = image.plan.populations.index("in")
    at = next(k for k, c in enumerate(image.plan.cores) if number in c.axon_population)
    row = int(np.flatnonzero(image.plan.cores[at].axon_population == number)[0])
    return with_entry(image, at, "axon_delay", row, 16)


def column_that_sends_everywhere(image: Image) -> Image:
    at, column = sending(image, COPY)
    return with_entry(image, at, "target_core", column, EVERYWHERE)


def splitter_that_reads_nothing(image: Image) -> Image:
    at = core_with(image, SPLITTER)
    column = column_of(image, at, SPLITTER)
    row = a_crossing(image.plan.cores[at], column)
    return with_crossing(image, at, row, column, 0)


def splitter_of_another_neuron(image: Image) -> Image:
    """Its target follows, so only what it reads is wrong."""
    at, column = sending(image, SPLITTER)
    neuron = int(image.plan.cores[at].column_neuron[column])
    population = int(image.plan.cores[at].column_population[column])
    size = image.program.populations[image.plan.populations[population]].size
    return with_entry(image, at, "column_neuron", column, (neuron + 1) % size)


def splitter_that_never_fires(image: Image) -> Image:
    at = core_with(image, SPLITTER)
    column = column_of(image, at, SPLITTER)
    kind = image.plan.cores[at].axon_type[a_crossing(image.plan.cores[at], column)]
    return with_entry(image, at, "type_weights", (column, kind), -1)


def splitter_that_feeds_itself(image: Image) -> Image:
    """It exchanges its target with the column that feeds it."""
    for at, core in enumerate(image.plan.cores):
        for column in np.flatnonzero((core.column_kind != SPLITTER) & (core.target_core >= 0)):
            end = next(
                k for k, c in enumerate(image.plan.cores) if c.core == core.target_core[column]
            )
            fed = image.plan.cores[end]
            row = int(core.target_axon[column])
            read = fed.crossings[[row]].indices
            if (fed.column_kind[read] == SPLITTER).all():
                return exchanged(image, (at, int(column)), (end, int(read[0])))
    raise AssertionError("no column feeds splitters")


def exchanged(image: Image, first: tuple[int, int], second: tuple[int, int]) -> Image:
    """Return the image with the targets of two columns exchanged."""
    for name in ("target_core", "target_axon", "target_delay"):
        values = [int(getattr(image.plan.cores[at], name)[k]) for at, k in (first, second)]
        image = with_entry(image, first[0], name, first[1], values[1])
        image = with_entry(image, second[0], name, second[1], values[0])
    return image


def output_that_stays_inside(image: Image) -> Image:
    at = next(k for k, c in enumerate(image.plan.cores) if (c.target_core == OUT).any())
    column = int(np.flatnonzero(image.plan.cores[at].target_core == OUT)[0])
    return with_entry(image, at, "target_core", column, NOWHERE)


def route_left_out(image: Image) -> Image:
    return replace(image, routes=image.routes[1:])


def route_with_other_crossings(image: Image) -> Image:
    return with_route(image, 0, synapses=image.routes[0].synapses + 1)


def route_from_another_core(image: Image) -> Image:
    return with_route(image, 0, source_cores=image.routes[0].source_cores + 1)


def route_with_unequal_columns(image: Image) -> Image:
    return with_route(image, 0, synapses=image.routes[0].synapses[1:])


def route_with_indices(image: Image) -> Image:
    return with_route(image, 0, sparse=image.routes[0].synapses)


FAULTS: dict[Fault, str] = {
    other_populations: "the plan numbers other populations than the program's",
    core_left_out_of_the_plan: "the plan has other cores than the image",
    axons_without_types: "do not fit each other",
    neuron_beyond_its_population: "names a neuron that does not exist",
    neuron_in_another_column: "has other neurons in its columns than in its slices",
    too_many_columns: "holds 14 neurons, the limit is 13",
    too_many_axons: "axons, the limit is",
    copies_misstated: "copies, it is told (0, None)",
    splitters_misstated: "splitters, it is told (0, None)",
    crossings_misstated: "crossings, its description says 0",
    axon_type_beyond_four: "has a type that the chip has not",
    axon_type_exchanged: "with a weight of",
    weight_beyond_nine_bits: "is outside -256 to 255",
    five_types: "has 5 weights a neuron, not 4",
    crossing_that_is_no_bit: "is no bit",
    crossing_missing: "synapses differ",
    crossing_added_to_a_copy: "synapses differ",
    weight_of_a_type_changed: "synapses differ",
    column_to_no_axon: "sends to no axon",
    column_to_no_core: "sends to no axon",
    column_to_an_input: "sends to the axon of an input",
    splitter_to_another_neurons_axon: "sends to another neuron's axon",
    two_columns_to_one_axon: "two columns send to one axon",
    axon_that_nothing_sends_to: "nothing sends to an axon of core",
    column_later_than_its_axon: "sends at another time than its axon says",
    column_and_axon_later: "synapses differ",
    delay_beyond_fifteen: "sends 16 late",
    input_axon_beyond_fifteen: "an input comes in later or earlier than an axon can delay it",
    column_that_sends_everywhere: "a column sends everywhere, which the chip cannot",
    splitter_that_reads_nothing: "does not read one axon",
    splitter_of_another_neuron: "reads another neuron than it repeats",
    splitter_that_never_fires: "is never made to fire",
    splitter_that_feeds_itself: "no spike ever comes to an axon of core",
    output_that_stays_inside: "is not read out",
    route_left_out: "of the cores are read",
    route_with_other_crossings: "the routes have another",
    route_from_another_core: "the routes have another",
    route_with_unequal_columns: "is not one",
    route_with_indices: "has indices, which a crossbar has not",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_on_truenorth_is_named(fault: Fault):
    assert FAULTS[fault] in named(fault(on_truenorth()))


def test_a_good_image_passes():
    assert verify(on_truenorth(), full=True) is on_truenorth()
