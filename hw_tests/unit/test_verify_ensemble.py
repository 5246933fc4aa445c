"""The verifier on Xylo's single core and on processors: each planted fault is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from hw_tests.broken_images import named, with_held, with_limits, with_plan, with_use
from hw_tests.small_chips import chip_like, edge, program_of
from spikeport.compiler.chip import Chip
from spikeport.compiler.image import Image
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify

Fault = Callable[[Image], Image]


@cache
def on_xylo() -> Image:
    """Return 4 inputs to 6 hidden neurons that feed 6 others, which feed 3 readouts."""
    rng = np.random.default_rng(1)

    def weights(post: int, pre: int) -> Any:
        return rng.integers(1, 100, (post, pre))

    net = program_of(
        {"in": 4, "a": 6, "b": 6, "o": 3},
        edge("in", "a", weights(6, 4), 0, "signed"),
        edge("a", "b", weights(6, 6), 1, "signed"),
        edge("b", "b", weights(6, 6), 1, "signed"),
        edge("b", "o", weights(3, 6), 1, "signed"),
        kind="CubaLIF",
    )
    return place(net, chip_like("xylo_audio3", input_expansion=6, output_expansion=6))


def hidden_number_twice(image: Image) -> Image:
    numbers = image.plan.hidden["a"].copy()
    numbers[0] = numbers[1]
    return with_plan(image, hidden={**image.plan.hidden, "a": numbers})


def hidden_neuron_without_number(image: Image) -> Image:
    return with_plan(image, hidden={**image.plan.hidden, "a": image.plan.hidden["a"][1:]})


def hidden_population_left_out(image: Image) -> Image:
    return with_plan(image, hidden={"a": image.plan.hidden["a"]})


def input_beyond_the_expansion(image: Image) -> Image:
    held = image.plan.hidden
    return with_plan(image, hidden={"a": held["b"], "b": held["a"]})


def readout_from_before_the_expansion(image: Image) -> Image:
    a, b = image.plan.hidden["a"].copy(), image.plan.hidden["b"].copy()
    a[-1], b[0] = b[0], a[-1]
    return with_plan(with_limits(image, input_expansion=12), hidden={"a": a, "b": b})


def readouts_overlap(image: Image) -> Image:
    outputs = {**image.program.outputs, "second": "b"}
    changed = replace(image, program=replace(image.program, outputs=outputs))
    return with_plan(changed, hidden={"a": np.arange(6)}, readouts={"o": 0, "b": 2})


def readout_beyond_the_limit(image: Image) -> Image:
    return with_plan(image, readouts={"o": 30})


def channel_beyond_the_limit(image: Image) -> Image:
    return with_plan(image, channels={("in", 0): 13})


def channels_of_another_delay(image: Image) -> Image:
    return with_plan(image, channels={("in", 1): 0})


def channel_used_twice(image: Image) -> Image:
    return with_plan(image, channels={("in", 0): 0, ("in", 1): 3})


def too_many_hidden(image: Image) -> Image:
    return with_limits(image, hidden=11)


def readout_that_sends_back(image: Image) -> Image:
    back = edge("o", "b", np.ones((6, 3)), 1, "signed")
    synapses = (*image.program.synapses, back)
    return replace(image, program=replace(image.program, synapses=synapses))


def input_to_a_readout(image: Image) -> Image:
    direct = edge("in", "o", np.ones((3, 4)), 0, "signed")
    synapses = (*image.program.synapses, direct)
    return replace(image, program=replace(image.program, synapses=synapses))


def readouts_left_out(image: Image) -> Image:
    return with_plan(image, readouts={})


def channels_of_a_neuron(image: Image) -> Image:
    return with_plan(image, channels={("in", 0): 0, ("a", 0): 4})


def second_core(image: Image) -> Image:
    """A chip of two cores, and everything on the second."""
    return on_the_second(image, chip_like("xylo_audio3", (2, 1, 1)))


def on_the_second(image: Image, chip: Chip) -> Image:
    slices = tuple(replace(part, core=1) for part in image.slices)
    moved = with_use(image, 0, core=1, tile_x=1)
    return replace(with_held_limits(moved, chip), slices=slices, chip=chip)


def with_held_limits(image: Image, chip: Chip) -> Image:
    """Return the image with the account that a chip's own limits make."""
    (use,) = image.cores
    stated = {name: getattr(chip.core, name, None) for name in use.held}
    held = {
        name: (used, most if stated[name] is None else stated[name].whole)
        for name, (used, most) in use.held.items()
    }
    return with_use(image, 0, held=held)


def hidden_misstated(image: Image) -> Image:
    return with_held(image, 0, hidden=(11, 992))


def synapses_misstated(image: Image) -> Image:
    return with_use(image, 0, synapses=1)


def routes_left_out(image: Image) -> Image:
    return replace(image, routes=image.routes[1:])


def two_shifts_in_one_matrix(image: Image) -> Image:
    first, *rest = image.program.synapses
    other = [replace(each, exponent=1) if each.name == "a-b" else each for each in rest]
    return replace(image, program=replace(image.program, synapses=(first, *other)))


def parallel_weights_too_wide(image: Image) -> Image:
    """Each fits its bits, their sum does not: the chip has one weight for the pair."""
    again = [replace(each, name="again") for each in image.program.synapses if each.name == "a-b"]
    both = replace(image.program, synapses=(*image.program.synapses, *again))
    return place(both, image.chip)


XYLO_FAULTS: dict[Fault, str] = {
    two_shifts_in_one_matrix: "the recurrent matrix has 2 shifts: [0, 1]",
    parallel_weights_too_wide: "a weight from 'a' to 'b' does not fit its bits",
    hidden_number_twice: "the hidden neurons are not numbered through",
    hidden_neuron_without_number: "a hidden population has not one number for each neuron",
    hidden_population_left_out: "the hidden populations are ['a', 'b'], not ['a']",
    input_beyond_the_expansion: "'in-a' reaches the hidden neuron 11, only the first 6 take input",
    readout_from_before_the_expansion: "'b-o' starts at the hidden neuron 5 of 12, only the last 6",
    readouts_overlap: "a readout of 'b' is used twice",
    readout_beyond_the_limit: "readout 32 is used, the limit is 32",
    channel_beyond_the_limit: "channel 16 is used, the limit is 16",
    channels_of_another_delay: "'in-a' has no channels for its delay of 0",
    channel_used_twice: "a channel of 'in (1)' is used twice",
    too_many_hidden: "12 hidden neurons are used, the limit is 11",
    readout_that_sends_back: "'o-b' starts at a readout",
    input_to_a_readout: "'in-o' goes from an input to a readout",
    readouts_left_out: "the readouts are ['o'], not []",
    channels_of_a_neuron: "'a' has channels and is no input",
    second_core: "such a chip has the one core 0",
    hidden_misstated: "core 0 holds 12 hidden of 992, its description says (11, 992)",
    synapses_misstated: "synapses, its description says 1",
    routes_left_out: "is not routed, nor are",
}


@pytest.mark.parametrize("fault", XYLO_FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_on_an_ensemble_is_named(fault: Fault):
    assert XYLO_FAULTS[fault] in named(fault(on_xylo()))


# --- a processor -------------------------------------------------------------------------------


@cache
def on_processor() -> Image:
    net = program_of({"in": 2, "a": 3}, edge("in", "a", np.ones((3, 2)) * 2))
    return place(net, chip_like("cpu_i7_4960x"))


PROCESSOR_FAULTS: dict[str, tuple[Fault, str]] = {
    "cores": (
        lambda image: on_the_second(image, chip_like("cpu_i7_4960x", (2, 1, 1))),
        "a processor has the one core 0",
    ),
    "routes": (
        lambda image: replace(image, routes=on_xylo().routes[:1]),
        "a processor has no routes",
    ),
    "neurons": (
        lambda image: with_held(image, 0, compartments=(2, None)),
        "core 0 is said to hold 2 of 3 neurons",
    ),
    "synapses": (
        lambda image: with_use(image, 0, synapses=5),
        "core 0 is said to hold 5 of 6 synapses",
    ),
}


@pytest.mark.parametrize("what", PROCESSOR_FAULTS)
def test_a_fault_on_a_processor_is_named(what: str):
    fault, words = PROCESSOR_FAULTS[what]
    assert words in named(fault(on_processor()))


@pytest.mark.parametrize("good", [on_xylo, on_processor])
def test_good_images_pass(good: Callable[[], Image]):
    assert verify(good(), full=True) is good()
