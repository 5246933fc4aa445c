"""The verifier on cores of lists: good images pass, and each planted fault is named.

Faults of the packed tables are in `test_tables.py`, those of other chips in
`test_verify_*.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hw_tests.broken_images import (
    named,
    with_held,
    with_limits,
    with_route,
    with_slice,
    with_use,
)
from hw_tests.small_chips import on_four_cores
from spikeport.compiler.image import Image
from spikeport.compiler.place.verify.verify import verify


@cache
def good() -> Image:
    """Return the net on four cores of two chips, five neurons to a core."""
    image = on_four_cores()
    assert [use.core for use in image.cores] == [0, 1, 2, 3]
    return image


def home(image: Image, population: str, neuron: int = 0) -> int:
    """Return the number of the slice that holds a neuron."""
    found = [k for k, part in enumerate(image.slices)
             if part.population == population and neuron in part.neurons]  # fmt: skip
    return found[0]


def to_core(image: Image, core: int) -> int:
    """Return the number of the first route from `a` to a core."""
    return next(k for k, r in enumerate(image.routes) if r.pre == "a" and r.target_core == core)


def core_of(image: Image, population: str, neuron: int = 0) -> int:
    return image.slices[home(image, population, neuron)].core


# --- faults of an image ------------------------------------------------------------------------


def missing_neuron(image: Image) -> Image:
    at = home(image, "a")
    return with_slice(image, at, neurons=image.slices[at].neurons[1:])


def neuron_on_two_cores(image: Image) -> Image:
    at = home(image, "a", 9)
    return with_slice(image, at, neurons=np.insert(image.slices[at].neurons, 0, 0))


def neuron_beyond_its_population(image: Image) -> Image:
    at = home(image, "a", 9)
    return with_slice(image, at, neurons=np.append(image.slices[at].neurons, 10))


def slice_not_in_order(image: Image) -> Image:
    at = home(image, "a")
    return with_slice(image, at, neurons=image.slices[at].neurons[::-1].copy())


def empty_slice(image: Image) -> Image:
    more = replace(image.slices[0], neurons=np.zeros(0, np.int64))
    return replace(image, slices=(*image.slices, more))


def input_on_a_core(image: Image) -> Image:
    more = replace(image.slices[0], population="in", neurons=np.arange(3))
    return replace(image, slices=(*image.slices, more))


def slice_on_an_unused_core(image: Image) -> Image:
    return replace(image, cores=image.cores[:-1])


def core_beyond_the_chips(image: Image) -> Image:
    return with_use(image, 3, core=4)


def wrong_chip(image: Image) -> Image:
    return with_use(image, 2, chip=0)


def wrong_tile(image: Image) -> Image:
    return with_use(image, 1, tile_y=0)


def core_twice(image: Image) -> Image:
    return replace(image, cores=(image.cores[0], *image.cores))


def cores_not_in_order(image: Image) -> Image:
    return replace(image, cores=image.cores[::-1])


def too_many_chips(image: Image) -> Image:
    return replace(image, chips=3)


def delay_beyond_the_limit(image: Image) -> Image:
    *rest, last = image.program.synapses
    late = replace(last, delay_steps=63)
    return replace(image, program=replace(image.program, synapses=(*rest, late)))


def missing_route(image: Image) -> Image:
    return replace(image, routes=image.routes[:-1])


def neuron_missing_from_a_route(image: Image) -> Image:
    route = image.routes[0]
    names = ("neurons", "source_cores", "synapses", "sparse")
    return with_route(image, 0, **{name: getattr(route, name)[1:] for name in names})


def route_twice(image: Image) -> Image:
    return replace(image, routes=(*image.routes, image.routes[0]))


def route_to_a_core_without_targets(image: Image) -> Image:
    at = next(k for k, route in enumerate(image.routes) if route.pre == "in")
    more = replace(image.routes[at], target_core=core_of(image, "b"))
    return replace(image, routes=(*image.routes, more))


def routes_exchanged(image: Image) -> Image:
    """The totals of every sender stay as they are."""
    first, second = (to_core(image, core_of(image, "b", neuron)) for neuron in (0, 9))
    ends = image.routes[first].target_core, image.routes[second].target_core
    return with_route(with_route(image, first, target_core=ends[1]), second, target_core=ends[0])


def route_of_an_unknown_population(image: Image) -> Image:
    return with_route(image, 0, pre="c")


def route_to_an_unused_core(image: Image) -> Image:
    return with_route(image, 0, target_core=7)


def route_from_another_core(image: Image) -> Image:
    at = to_core(image, core_of(image, "b"))
    return with_route(image, at, source_cores=image.routes[at].source_cores[::-1].copy())


def input_routed_from_a_core(image: Image) -> Image:
    at = next(k for k, route in enumerate(image.routes) if route.pre == "in")
    return with_route(image, at, source_cores=np.zeros(3, int))


def neuron_routed_from_the_host(image: Image) -> Image:
    at = to_core(image, core_of(image, "b"))
    return with_route(image, at, source_cores=np.full(10, -1))


def route_not_in_order(image: Image) -> Image:
    at = to_core(image, core_of(image, "b"))
    names = ("neurons", "source_cores", "synapses", "sparse")
    turned = {name: getattr(image.routes[at], name)[::-1].copy() for name in names}
    return with_route(image, at, **turned)


def route_from_beyond_the_population(image: Image) -> Image:
    at = to_core(image, core_of(image, "b"))
    return with_route(image, at, neurons=image.routes[at].neurons + 100)


def route_with_unequal_columns(image: Image) -> Image:
    return with_route(image, 0, synapses=image.routes[0].synapses[1:])


def wrong_synapse_count(image: Image) -> Image:
    return with_route(image, 0, synapses=image.routes[0].synapses + 1)


def wrong_count_with_index(image: Image) -> Image:
    return with_route(image, 0, sparse=image.routes[0].sparse + 1)


def wrong_compartments(image: Image) -> Image:
    return with_held(image, 0, compartments=(4, 5))


def wrong_in_axons(image: Image) -> Image:
    return with_held(image, 0, in_axons=(1, 4096))


def wrong_out_axons(image: Image) -> Image:
    return with_held(image, 0, out_axons=(1, 4096))


def wrong_memory(image: Image) -> Image:
    used, there = image.cores[0].held["synaptic_memory_bits"]
    return with_held(image, 0, synaptic_memory_bits=(used - 64, there))


def too_few_configurations(image: Image) -> Image:
    return with_held(image, core_of(image, "b"), threshold_configs=(1, 16))


def wrong_synapses(image: Image) -> Image:
    return with_use(image, 0, synapses=image.cores[0].synapses - 1)


def limit_misstated(image: Image) -> Image:
    return with_held(image, 0, in_axons=(image.cores[0].used("in_axons"), 9999))


def resource_left_out(image: Image) -> Image:
    held = {name: pair for name, pair in image.cores[0].held.items() if name != "out_axons"}
    return with_use(image, 0, held=held)


def told_above_its_limit(image: Image) -> Image:
    return with_held(image, 0, compartments=(6, 5))


FAULTS: dict[Callable[[Image], Image], str] = {
    missing_neuron: "neuron 0 of 'a' is on no core",
    neuron_on_two_cores: "neuron 0 of 'a' is on two cores",
    neuron_beyond_its_population: "holds a neuron of 'a' beyond its 10",
    slice_not_in_order: "is not in order",
    empty_slice: "is empty",
    input_on_a_core: "holds 'in', which is no population of neurons",
    slice_on_an_unused_core: "and does not exist",
    core_beyond_the_chips: "core 4 does not exist: there are 4",
    wrong_chip: "core 2 is on chip 1, not 0",
    wrong_tile: "core 1 is on tile (0, 1), not (0, 0)",
    core_twice: "core 0 is described twice",
    cores_not_in_order: "the cores are not in the order of their numbers",
    too_many_chips: "3 chips are used, 2 can be linked",
    delay_beyond_the_limit: "'b-a' has a delay of 63, the limit is 62",
    missing_route: "is not routed, nor are",
    neuron_missing_from_a_route: "is not routed, nor are 0 more",
    route_twice: "is routed twice",
    route_to_a_core_without_targets: "is routed and has no synapse there",
    routes_exchanged: "synapses there, its route says",
    route_of_an_unknown_population: "there is no such population",
    route_to_an_unused_core: "core 7 does not exist",
    route_from_another_core: "starts neuron 0 at core",
    input_routed_from_a_core: "starts neuron 0 at core 0, it is on core -1",
    neuron_routed_from_the_host: "starts neuron 0 at core -1, it is on core",
    route_not_in_order: "has its neurons not in order",
    route_from_beyond_the_population: "starts at a neuron beyond the 10 of 'a'",
    route_with_unequal_columns: "its columns are not equally long",
    wrong_synapse_count: "synapses there, its route says",
    wrong_count_with_index: "synapses with an index there, its route says",
    wrong_compartments: "core 0 holds 5 compartments, its description says 4",
    wrong_in_axons: "in_axons, its description says 1",
    wrong_out_axons: "out_axons, its description says 1",
    wrong_memory: "synaptic_memory_bits, its description says",
    too_few_configurations: "threshold_configs, its description says 1",
    wrong_synapses: "synapses, its description says",
    limit_misstated: "core 0 is said to have 9999 in_axons, the chip has 4096",
    resource_left_out: "core 0 does not say how many out_axons it holds",
    told_above_its_limit: "core 0 holds 6 compartments, the limit is 5",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_of_an_image_is_named(fault: Callable[[Image], Image]):
    assert FAULTS[fault] in named(fault(good()))


@pytest.mark.parametrize("resource", ["compartments", "in_axons", "out_axons",
                                      "synaptic_memory_bits", "compartment_configs",
                                      "threshold_configs"])  # fmt: skip
def test_a_core_over_a_limit_is_named_whatever_the_mapper_says(resource: str):
    """The limit is one less than what the fullest core needs."""
    image = good()
    most = max(use.used(resource) for use in image.cores)
    words = f"holds {most} {resource}, the limit is {most - 1}"
    assert words in named(with_limits(image, **{resource: most - 1}))


def test_good_images_pass_and_come_back_as_they_are():
    image = good()
    assert verify(image) is image
    assert verify(image, full=True) is image
