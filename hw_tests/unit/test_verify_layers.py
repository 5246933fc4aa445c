"""The verifier on cores that hold a layer each: each planted fault is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from hw_tests.broken_images import named, with_held, with_limits, with_plan, with_slice, with_use
from hw_tests.small_chips import chip_like, edge, program_of
from spikeport.compiler.image import Image
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify

Fault = Callable[[Image], Image]


def with_weights(image: Image, name: str, change: Callable[[Any], Any]) -> Image:
    """Return the image of a Program in which a projection has other weights."""
    program = image.program
    synapses = tuple(
        each.with_mantissa(change(each.mantissa.copy())) if each.name == name else each
        for each in program.synapses
    )
    return replace(image, program=replace(program, synapses=synapses))


def put(*cell: int, value: int) -> Callable[[Any], Any]:
    def change(matrix: Any) -> Any:
        matrix[cell] = value
        return matrix

    return change


@cache
def on_speck() -> Image:
    """Return a convolution of two channels (3 x 3, padded) and a dense layer."""
    taps = np.arange(1, 19).reshape(2, 3, 3)
    matrix = np.zeros((2, 4, 4, 1, 4, 4), int)
    for y, x, i, j in np.ndindex(4, 4, 3, 3):
        if 0 <= y + i - 1 < 4 and 0 <= x + j - 1 < 4:
            matrix[:, y, x, 0, y + i - 1, x + j - 1] = taps[:, i, j]
    dense = np.random.default_rng(3).integers(1, 100, (5, 32))
    net = program_of(
        {"in": (1, 4, 4), "one": 1, "c": (2, 4, 4), "d": 5},
        edge("in", "c", matrix.reshape(32, 16), 0, "signed"),
        edge("one", "c", np.repeat([[3], [4]], 16, axis=0), 0, "signed"),
        edge("c", "d", dense, 0, "signed"),
        kind="IF",
    )
    held = {**net.populations, "one": replace(net.populations["one"], kind="constant")}
    return place(replace(net, populations=held), chip_like("speck2f"))


def with_layer(image: Image, name: str, **changed: Any) -> Image:
    layers = dict(image.plan.layers)
    layers[name] = replace(layers[name], **changed)
    return with_plan(image, layers=layers)


def with_window(image: Image, name: str, **changed: Any) -> Image:
    window = replace(image.plan.layers[name].window, **changed)
    return with_layer(image, name, window=window)


def two_layers_on_a_core(image: Image) -> Image:
    homes = {part.population: part.core for part in image.slices}
    slices = tuple(replace(part, core=homes["c"]) for part in image.slices)
    uses = tuple(use for use in image.cores if use.core == homes["c"])
    return replace(image, slices=slices, cores=uses)


def layer_on_two_cores(image: Image) -> Image:
    at = next(k for k, part in enumerate(image.slices) if part.population == "c")
    part, free = image.slices[at], next(c for c in range(9) if c not in
                                        [use.core for use in image.cores])  # fmt: skip
    halves = (replace(part, neurons=part.neurons[:16]),
              replace(part, neurons=part.neurons[16:], core=free))  # fmt: skip
    x, y = image.chip.tile(free)
    use = replace(image.cores[0], core=free, tile_x=x, tile_y=y)
    uses = sorted((*image.cores, use), key=lambda each: each.core)
    slices = (*image.slices[:at], *halves, *image.slices[at + 1 :])
    return replace(image, slices=slices, cores=tuple(uses))


def layer_left_out(image: Image) -> Image:
    layers = {name: layer for name, layer in image.plan.layers.items() if name != "d"}
    return with_plan(image, layers=layers)


def core_without_a_layer(image: Image) -> Image:
    free = next(c for c in range(9) if c not in [use.core for use in image.cores])
    x, y = image.chip.tile(free)
    use = replace(image.cores[0], core=free, tile_x=x, tile_y=y)
    return replace(image, cores=tuple(sorted((*image.cores, use), key=lambda each: each.core)))


def maps_of_another_size(image: Image) -> Image:
    return with_layer(image, "c", after=(2, 4, 3))


def stride_that_gives_other_maps(image: Image) -> Image:
    return with_window(image, "c", stride=(2, 2))


def source_left_out(image: Image) -> Image:
    return with_layer(image, "d", sources={})


def weight_unlike_its_tap(image: Image) -> Image:
    return with_weights(image, "in-c", put(0, 0, value=99))


def synapse_outside_the_window(image: Image) -> Image:
    return with_weights(image, "in-c", put(0, 15, value=9))


def synapse_missing_from_a_tap(image: Image) -> Image:
    return with_weights(image, "in-c", put(0, 0, value=0))


def bias_unlike_its_channel(image: Image) -> Image:
    return with_weights(image, "one-c", put(0, 0, value=9))


def pooling_that_is_not_there(image: Image) -> Image:
    return with_layer(image, "c", sources={"in": 2})


def loop_of_layers(image: Image) -> Image:
    return with_layer(image, "c", sources={"d": 1})


def kernel_too_large(image: Image) -> Image:
    return with_limits(image, kernel=2)


def kernel_not_square(image: Image) -> Image:
    return with_window(image, "c", kernel=(3, 2))


def padding_too_large(image: Image) -> Image:
    return with_window(image, "c", padding=(8, 8))


def stride_unknown_to_the_chip(image: Image) -> Image:
    return with_window(image, "c", stride=(3, 3))


def too_many_channels(image: Image) -> Image:
    return with_limits(image, channels=4)


def input_too_high(image: Image) -> Image:
    return with_limits(image, input_height=3)


def output_too_wide(image: Image) -> Image:
    return with_limits(image, output_width=3)


def kernel_memory_misstated(image: Image) -> Image:
    at = use_of(image, "c")
    limit = image.cores[at].held["kernel_entries"][1]
    return with_held(image, at, kernel_entries=(18, limit))


def memory_of_another_core(image: Image) -> Image:
    at = use_of(image, "c")
    used = image.cores[at].held["neuron_entries"][0]
    return with_held(image, at, neuron_entries=(used, 1 << 20))


def use_of(image: Image, population: str) -> int:
    core = next(part.core for part in image.slices if part.population == population)
    return next(k for k, use in enumerate(image.cores) if use.core == core)


def layer_on_a_core_too_small(image: Image) -> Image:
    """Every core has 31 words for neurons, and says so; the layer takes 32."""
    row = image.chip.core.neuron_entries.model_copy(update={"values": (31,) * 9})
    core = image.chip.core.model_copy(update={"neuron_entries": row})
    told = tuple(
        replace(use, held={**use.held, "neuron_entries": (min(use.used("neuron_entries"), 31), 31)})
        for use in image.cores
    )
    return replace(image, chip=image.chip.model_copy(update={"core": core}), cores=told)


def three_destinations(image: Image) -> Image:
    """A chip of which three are allowed places it."""
    three = {name: np.ones((1, 32)) for name in ("d", "e", "f")}
    edges = [edge("c", name, weights, 0, "signed") for name, weights in three.items()]
    start = next(each for each in image.program.synapses if each.name == "in-c")
    net = program_of(
        {"in": (1, 4, 4), "c": (2, 4, 4), "d": 1, "e": 1, "f": 1}, start, *edges, kind="IF"
    )
    return replace(place(net, chip_like("speck2f", destinations=3)), chip=image.chip)


def unknown_pooling(image: Image) -> Image:
    return with_layer(image, "c", sources={"in": 3})


def different_thresholds(image: Image) -> Image:
    program, held = image.program, image.program.populations
    cell = replace(held["c"].cell, v_threshold=np.arange(32, dtype=np.int32))
    changed = replace(program, populations={**held, "c": replace(held["c"], cell=cell)})
    return with_limits(replace(image, program=changed), thresholds=1)


def synapses_misstated(image: Image) -> Image:
    return with_use(image, use_of(image, "d"), synapses=1)


def sources_with_different_kernels(image: Image) -> Image:
    """Two layers feed a third with the same weights; then one of these is changed."""
    start = next(each for each in image.program.synapses if each.name == "in-c")
    dense = np.arange(1, 65).reshape(2, 32)
    net = program_of(
        {"in": (1, 4, 4), "c": (2, 4, 4), "e": (2, 4, 4), "d": 2},
        start,
        edge("in", "e", start.mantissa, 0, "signed"),
        edge("c", "d", dense, 0, "signed"),
        edge("e", "d", dense, 0, "signed"),
        kind="IF",
    )
    return with_weights(verify(place(net, image.chip)), "e-d", put(1, 5, value=99))


def part_of_a_channel(image: Image) -> Image:
    """Akida splits a layer over cores by channels; one neuron stands with the others' channel."""
    start = next(each for each in image.program.synapses if each.name == "in-c")
    start = start.with_mantissa(np.sign(start.mantissa))  # 4 bits
    net = program_of({"in": (1, 4, 4), "c": (2, 4, 4)}, start, kind="IF")
    split = verify(place(net, chip_like("akida_akd1000", weight_bytes=9)))
    first, second = split.slices
    whole = with_slice(split, 0, neurons=np.append(first.neurons, second.neurons[0]))
    return with_slice(whole, 1, neurons=second.neurons[1:])


def weights_too_wide(image: Image) -> Image:
    bits = image.chip.limits.weight_bits.model_copy(update={"value": 2})
    limits = image.chip.limits.model_copy(update={"weight_bits": bits})
    return replace(image, chip=image.chip.model_copy(update={"limits": limits}))


SPECK_FAULTS: dict[Fault, str] = {
    weights_too_wide: "in all and does not fit 2 bits",
    two_layers_on_a_core: "holds 'c' and 'd'",
    layer_on_two_cores: "'c' is not on one core",
    layer_left_out: "the layers are ['c', 'd'], not ['c']",
    core_without_a_layer: "holds no layer",
    maps_of_another_size: "'c' has 32 neurons, its layer 2 x 4 x 3",
    stride_that_gives_other_maps: "the window of 'c' gives (2, 2), the layer is (4, 4)",
    source_left_out: "'d' reads ['c'], its layer []",
    weight_unlike_its_tap: "has another weight than its tap",
    synapse_outside_the_window: "is outside the window",
    synapse_missing_from_a_tap: "is missing at a place of its tap",
    bias_unlike_its_channel: "the bias of 'c' is not one for each channel",
    pooling_that_is_not_there: "'in' is no (1, 4, 4) for 'c' when it is pooled by 2",
    loop_of_layers: "['c', 'd'] are in a loop",
    kernel_too_large: "'c' has 3 rows of kernel, the limit is 2",
    kernel_not_square: "the kernel of 'c' is not square",
    padding_too_large: "'c' has 8 rows of padding, the limit is 7",
    stride_unknown_to_the_chip: "'c' has the stride 3, which the chip has not",
    too_many_channels: "'d' has 5 channels, the limit is 4",
    input_too_high: "'c' has 4 rows of input, the limit is 3",
    output_too_wide: "'c' has 4 columns of output, the limit is 3",
    kernel_memory_misstated: "holds 32 kernel_entries of",
    memory_of_another_core: "holds 32 neuron_entries of",
    layer_on_a_core_too_small: "holds 32 neuron_entries, the limit is 31",
    unknown_pooling: "'in' is pooled by 3 for 'c', which the chip cannot",
    different_thresholds: "'c' has 32 thresholds, the limit is 1",
    synapses_misstated: "synapses, its description says 1",
    sources_with_different_kernels: "'d' has another kernel for 'e'",
    part_of_a_channel: "holds a part of a channel of 'c'",
    three_destinations: "is said to have 3 destinations, the chip has 2",
}


@pytest.mark.parametrize("fault", SPECK_FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_on_layers_is_named(fault: Fault):
    assert SPECK_FAULTS[fault] in named(fault(on_speck()))


@pytest.mark.parametrize("good", [on_speck])
def test_good_images_pass(good: Callable[[], Image]):
    assert verify(good(), full=True) is good()
