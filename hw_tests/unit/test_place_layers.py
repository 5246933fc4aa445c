"""Cores that hold a layer each: the memory formulae, which convolution a matrix is, the matching
of layers to cores, and that every violation's fix makes it fit when it is followed."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

from spikeport.backends import find_chip
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError, LoweringError, Violation
from spikeport.compiler.image import Image
from spikeport.compiler.network import Affine, Convolution, Input, Network, Output, SumPool2d
from spikeport.compiler.passes.convolution import conv_matrix, pool_matrix
from spikeport.compiler.pipeline import compile_network
from spikeport.compiler.place.layer_memory import (
    Layer,
    entries_of,
    kernel_entries,
    neuron_entries,
)
from spikeport.compiler.place.layer_shape import Window
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify import verify
from spikeport.compiler.program import Arithmetic, CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.lif import Lif

SPECK, AKIDA = find_chip("speck2f"), find_chip("akida_akd1000")
SIXTEEN_BITS = Arithmetic("saturate", state_bits=16, weight_shift=0)


@dataclass(frozen=True)
class Spec:
    """A layer of a test: a convolution with `kernel` rows, or a dense one where that is 0."""

    channels: int
    kernel: int = 0
    stride: int = 1
    padding: int = 0
    pool: int = 1
    bias: bool = False
    threshold: Any = 100
    reads: str = ""  # "": the layer before
    weight: int = 3


@dataclass(frozen=True)
class Net:
    """A network of a test; the last layer is its output."""

    shape: tuple[int, int, int]
    layers: tuple[Spec, ...]
    bits: int = 8


def program(net: Net) -> Program:
    """Return a network in integers, with weights of 1 to `weight`."""
    rng = np.random.default_rng(3)
    populations = {"in": CellPopulation("input", net.shape, None, np.ones(1))}
    synapses: list[Synapses] = []
    maps = {"in": net.shape}
    before = "in"
    for number, spec in enumerate(net.layers):
        name, source = f"conv{number}", spec.reads or before
        channels, rows, columns = maps[source]
        small = (channels, rows // spec.pool, columns // spec.pool)
        matrix, after = weights(rng, spec, small)
        if spec.pool > 1:
            size = (spec.pool, spec.pool)
            matrix = matrix @ pool_matrix(SumPool2d(size, size, (0, 0)), maps[source])
        size = matrix.shape[0]
        threshold = np.resize(np.asarray(spec.threshold, np.int32), size)
        cell = neutral_cell(size, v_threshold=threshold, reset="subtract")
        populations[name] = CellPopulation("IF", after, cell, np.ones(size))
        whole = sparse.csr_matrix(matrix).astype(np.int32)
        synapses.append(Synapses(f"w{number}", source, name, whole, 0, "signed", net.bits, 0))
        if spec.bias:
            one = neutral_cell(1, bias_mantissa=np.ones(1, np.int32))
            populations.setdefault("one", CellPopulation("constant", (1,), one, np.ones(1)))
            column = np.repeat(np.arange(1, 1 + after[0]), size // after[0])[:, None] % 100
            bias = column.astype(np.int32)
            synapses.append(Synapses(f"b{number}", "one", name, bias, 0, "signed", 8, 0))
        maps[name], before = after, name
    lags = dict.fromkeys(populations, 0)
    return Program(
        1e-3, populations, tuple(synapses), {"out": before}, lags, SIXTEEN_BITS, name="net"
    )


def weights(rng: np.random.Generator, spec: Spec, shape: tuple[int, int, int]) -> Any:
    """Return (matrix, shape after it) of a layer on maps of a shape."""
    channels, rows, columns = shape
    if not spec.kernel:
        size = (spec.channels, channels * rows * columns)
        return sparse.csr_matrix(rng.integers(1, spec.weight + 1, size)), (spec.channels, 1, 1)
    kernel = rng.integers(1, spec.weight + 1, (spec.channels, channels, spec.kernel, spec.kernel))
    extents = [
        (extent + 2 * spec.padding - spec.kernel) // spec.stride + 1 for extent in (rows, columns)
    ]
    after = (spec.channels, *extents)
    pair = (spec.stride, spec.stride), (spec.padding, spec.padding)
    return conv_matrix(Convolution(kernel, *pair, (1, 1), 1, shape, after)), after


def placed(net: Net, chip: Chip = SPECK) -> Image:
    return verify(place(program(net), chip))


def violations(net: Net, chip: Chip = SPECK) -> list[Violation | str]:
    with pytest.raises(FitError) as caught:
        place(program(net), chip)
    return list(caught.value.found)


def only(found: list[Violation | str]) -> Any:
    assert len(found) == 1, found
    return found[0]


def row(chip: Chip, **values: tuple[int, ...]) -> Chip:
    """Return a chip with other memories."""
    changed = {
        name: getattr(chip.core, name).model_copy(update={"values": given})
        for name, given in values.items()
    }
    return chip.model_copy(update={"core": chip.core.model_copy(update=changed)})


# --- the formulae ------------------------------------------------------------------------------


def test_the_documented_example_takes_8_ki_kernel_and_128_ki_neuron_entries():
    """sinabs docs/speck/overview.md: Conv2d(16, 32, 3, padding=1) on 64 x 64."""
    assert kernel_entries(16, 9, 32) == 8 * 1024
    assert neuron_entries((32, 64, 64)) == 128 * 1024


@pytest.mark.parametrize(
    ("channels_in", "kernel", "channels", "entries"),
    [
        (2, 5, 16, 2 * 32 * 16),  # 25 taps take 32 words
        (1, 1, 1, 1),
        (3, 2, 5, 3 * 4 * 8),  # 5 channels take 8
        (8, 4, 256, 8 * 16 * 256),  # the dense layer of sinabs' N-MNIST network
        (20, 5, 32, 20 * 32 * 32),
    ],
)
def test_taps_and_output_channels_are_rounded_up_to_powers_of_two(
    channels_in, kernel, channels, entries
):
    assert kernel_entries(channels_in, kernel * kernel, channels) == entries


def test_rows_and_columns_of_neurons_are_rounded_up_each_by_itself():
    assert neuron_entries((3, 5, 9)) == 3 * 8 * 16
    assert neuron_entries((10, 1, 1)) == 10
    assert neuron_entries((7, 16, 17)) == 7 * 16 * 32


def test_biases_take_an_entry_for_each_channel_where_there_are_some():
    window = Window((1, 1), (1, 1), (0, 0))
    layer = Layer("a", {}, (4, 1, 1), (10, 1, 1), window, 10, 8)
    assert entries_of(layer) == {"kernel_entries": 64, "neuron_entries": 10, "bias_entries": 10}
    image = placed(Net((1, 8, 8), (Spec(6, 3, bias=True), Spec(10))))
    held = {part.population: use.held for use in image.cores for part in image.slices
            if part.core == use.core and part.population != "one"}  # fmt: skip
    assert held["conv0"]["bias_entries"] == (6, 1024)
    assert held["conv1"]["bias_entries"] == (0, 1024)


# --- which convolution a matrix is -------------------------------------------------------------


def test_a_chain_of_convolutions_pools_and_a_dense_layer_is_found_as_it_was_made():
    net = Net(
        (2, 34, 34),
        (
            Spec(16, 5, 2, 1),
            Spec(16, 3, 1, 1),
            Spec(8, 3, 1, 1, pool=2),
            Spec(40, pool=2),
            Spec(10),
        ),
    )
    layers = placed(net).plan.layers
    assert [layers[name].window for name in layers] == [
        Window((5, 5), (2, 2), (1, 1)),
        Window((3, 3), (1, 1), (1, 1)),
        Window((3, 3), (1, 1), (1, 1)),
        Window((4, 4), (1, 1), (0, 0)),
        Window((1, 1), (1, 1), (0, 0)),
    ]
    assert [list(layers[name].sources.values()) for name in layers] == [[1], [1], [2], [2], [1]]
    assert layers["conv3"].before == (8, 4, 4)


def test_what_is_found_makes_the_same_matrix_in_random_layers():
    """The verifier compares every synapse with the window that the image tells."""
    rng = np.random.default_rng(0)
    tried = 0
    while tried < 120:
        pool = int(rng.choice([1, 2, 4]))
        kernel = int(rng.integers(1, 6))
        padding, stride = int(rng.integers(0, kernel)), int(rng.choice([1, 2, 4]))
        rows, columns = rng.integers(4, 25, 2).tolist()
        if min(rows, columns) // pool + 2 * padding < kernel:
            continue
        spec = Spec(int(rng.integers(1, 6)), kernel, stride, padding, pool, weight=120)
        layer = placed(Net((int(rng.integers(1, 4)), rows, columns), (spec,))).plan.layers["conv0"]
        assert layer.window.kernel[0] <= max(kernel, rows // pool, columns // pool)
        if min(layer.after[1:]) > 3 and padding < kernel - 1:
            assert layer.window.kernel == (kernel, kernel)
            assert layer.window.stride == (stride, stride)
        tried += 1


def one_layer(matrix: Any, before: tuple[int, ...], after: tuple[int, ...]) -> Program:
    """Return in -> a with these weights."""
    size = matrix.shape[0]
    cell = neutral_cell(size, v_threshold=np.full(size, 9, np.int32))
    populations = {
        "in": CellPopulation("input", before, None, np.ones(1)),
        "a": CellPopulation("IF", after, cell, np.ones(size)),
    }
    whole = sparse.csr_matrix(matrix).astype(np.int32)
    synapses = (Synapses("w", "in", "a", whole, 0, "signed", 8, 0),)
    return Program(1e-3, populations, synapses, {"out": "a"}, {"in": 0, "a": 0}, SIXTEEN_BITS)


def found_in(matrix: Any, before: tuple[int, ...], after: tuple[int, ...]) -> Layer:
    return verify(place(one_layer(matrix, before, after), SPECK)).plan.layers["a"]


def test_a_dilated_kernel_is_a_larger_one_with_zeros():
    kernel = np.arange(1, 10).reshape(1, 1, 3, 3)
    conv = Convolution(kernel, (1, 1), (2, 2), (2, 2), 1, (1, 9, 9), (1, 9, 9))
    assert found_in(conv_matrix(conv), (1, 9, 9), (1, 9, 9)).window.kernel == (5, 5)


def test_an_oblong_kernel_is_filled_up_to_a_square():
    kernel = np.arange(1, 6).reshape(1, 1, 1, 5)
    conv = Convolution(kernel, (1, 1), (0, 0), (1, 1), 1, (1, 6, 9), (1, 6, 5))
    window = found_in(conv_matrix(conv), (1, 6, 9), (1, 6, 5)).window
    assert window == Window((5, 5), (1, 1), (2, 0))


def test_a_convolution_by_channel_takes_the_kernel_of_all_channels():
    kernel = np.arange(1, 37).reshape(4, 1, 3, 3)
    conv = Convolution(kernel, (1, 1), (1, 1), (1, 1), 4, (4, 6, 6), (4, 6, 6))
    layer = found_in(conv_matrix(conv), (4, 6, 6), (4, 6, 6))
    assert entries_of(layer)["kernel_entries"] == 4 * 16 * 4


def test_maps_that_no_convolution_makes_are_a_dense_layer():
    matrix = np.random.default_rng(1).integers(1, 100, (27, 72))
    layer = found_in(matrix, (2, 6, 6), (3, 3, 3))
    assert layer.after == (27, 1, 1)
    assert layer.window.kernel == (6, 6)


def test_a_stride_that_differs_by_axis_is_found():
    conv = Convolution(np.ones((2, 1, 3, 3)), (2, 4), (1, 0), (1, 1), 1, (1, 9, 19), (2, 5, 5))
    assert found_in(conv_matrix(conv), (1, 9, 19), (2, 5, 5)).window == Window(
        (3, 3), (2, 4), (1, 0)
    )


# --- layers to cores ---------------------------------------------------------------------------

BIG = Spec(16, 1)  # on 64 x 64: 64 Ki neurons, which cores 0, 1 and 2 hold


def test_a_small_layer_leaves_the_large_cores_to_those_that_need_them():
    """In order the small layer would take core 0, and then one of three has no core."""
    net = Net((1, 64, 64), (Spec(1, 1), BIG, BIG, BIG))
    image = placed(net)
    cores = {part.population: part.core for part in image.slices}
    assert cores["conv0"] > 2
    assert {cores[f"conv{number}"] for number in (1, 2, 3)} == {0, 1, 2}


def test_nine_layers_fill_the_chip_and_ten_are_one_too_many():
    small = Spec(1, 1)
    image = placed(Net((1, 8, 8), (small,) * 9))
    assert sorted(part.core for part in image.slices) == list(range(9))
    found = only(violations(Net((1, 8, 8), (small,) * 10)))
    assert (found.figure, found.limit) == (10, 9)
    assert found.fix == "leave out or join 1 of them"


def test_layers_that_compete_for_cores_are_named_and_one_channel_less_makes_room():
    net = Net((1, 64, 64), (BIG, BIG, BIG, BIG, Spec(2, 1, 4)))
    found = only(violations(net))
    assert found.object == "the group of layers 'conv0', 'conv1', 'conv2', 'conv3'"
    assert (found.figure, found.limit) == (4, 3)
    assert "cores 0, 1, 2" in found.what
    assert "use at most 8 channels" in found.fix
    assert "cores 3, 4" in found.fix
    placed(followed(net, found))


def test_a_kernel_too_large_for_every_core_says_how_many_channels_fit():
    net = Net((128, 4, 4), (Spec(96, 3, 1, 1), Spec(4)))
    found = [each for each in violations(net) if "conv0" in each.object]
    assert str(only(found)) == (
        "'conv0' needs 262144 kernel entries, the limit is 65536: use at most 32 channels"
    )
    placed(followed(net, found[0]))


def test_a_layer_whose_memories_no_core_has_together_says_so():
    """More than 32 Ki kernel entries are on cores 5 and 6, which have 16 Ki neuron entries."""
    net = Net((65, 17, 17), (Spec(17, 3, 1, 1), Spec(2, 1, 8)))
    found = only(violations(net))
    assert str(found) == (
        "'conv0' needs 17408 neuron entries beside 33280 kernel entries, the limit is 16384: "
        "use at most 16 channels"
    )
    placed(followed(net, found))


def test_an_output_keeps_its_channels_and_is_given_fewer_inputs():
    hidden = only(violations(Net((600, 1, 1), (Spec(600), Spec(200)))))
    assert (hidden.object, hidden.fix) == ("'conv0'", "use at most 64 channels")
    net = Net((600, 1, 1), (Spec(200),))
    output = only(violations(net))
    assert output.fix == "give it at most 256 input channels"
    placed(followed(net, output))


# --- every advice works ------------------------------------------------------------------------


def followed(net: Net, violation: Violation | str) -> Net:
    """Return the network changed as a violation says."""
    text = str(violation)
    who = violation.object if isinstance(violation, Violation) else violation
    fix = text.rpartition(": ")[2]
    numbers = [int(number) for number in re.findall(r"'conv(\d+)'", fix if "' " in fix else who)]
    number = int(re.findall(r"'conv(\d+)'", who)[0]) if "'conv" in who else 0
    layers = list(net.layers)

    def change(at: int, **given: Any) -> None:
        layers[at] = replace(layers[at], **given)

    def give(at: int, channels: int) -> Net:
        """Let the layer `at` have fewer channels to read."""
        if at == 0:
            return replace(net, shape=(min(net.shape[0], channels), *net.shape[1:]))
        change(at - 1, channels=min(layers[at - 1].channels, channels))
        return replace(net, layers=tuple(layers))

    shown = re.search(r"use at most (\d+) channels(?: in 'conv(\d+)')?", fix)
    if shown:
        at = int(shown[2]) if shown[2] else number
        change(at, channels=int(shown[1]))
    fewer = re.search(r"give it at most (\d+) input channels", fix)
    if fewer:
        net = replace(net, layers=tuple(layers))
        return give(number, int(fewer[1]))
    if shown:
        return replace(net, layers=tuple(layers))
    if match := re.search(r"have at most (\d+) channels", fix):
        return give(number, int(match[1]))
    if match := re.search(r"use a kernel of at most (\d+)", fix):
        change(number, kernel=int(match[1]), padding=min(layers[number].padding, int(match[1]) - 1))
    elif match := re.search(r"pad by at most (\d+)", fix):
        change(number, padding=int(match[1]))
    elif match := re.search(r"use the stride (\d+)", fix):
        change(number, stride=int(match[1]))
    elif "pool it" in fix or "or pool them" in fix:
        change(number, pool=min(layers[number].pool * 2, 4) if layers[number].pool < 4 else 4)
        if layers[number].pool == 4 and net.layers[number].pool == 4:
            return replace(net, shape=(net.shape[0], net.shape[1] // 2, net.shape[2] // 2))
    elif "use a stride of 2" in fix:
        change(number, stride=min(8, layers[number].stride * 2))
    elif match := re.search(r"leave out or join (\d+)", fix):
        layers = layers[: -int(match[1])]
    elif "square of" in fix:
        side = min(net.shape[1:])
        return replace(net, shape=(net.shape[0], side, side))
    else:
        raise AssertionError(f"nothing to follow in {text} {numbers}")
    return replace(net, layers=tuple(layers))


def random_net(rng: np.random.Generator) -> Net:
    """Return a network that breaks limits now and then; maps stay small enough to build fast."""
    rows = int(rng.choice([6, 6, 12, 12, 18, 24, 66, 130]))
    columns = rows if rng.random() < 0.8 else rows + int(rng.integers(1, 5))
    shape = (int(rng.choice([1, 2, 4] if rows < 60 else [1])), rows, columns)
    layers: list[Spec] = []
    for _ in range(int(rng.integers(1, 11 if rows < 20 else 5))):
        side = extents(Net(shape, tuple(layers)))
        small = [k for k in (1, 3, 3, 5, 17) if k <= min(min(side), 400 // rows)]
        pool = int(rng.choice([1, 1, 2])) if min(side) > 4 else 1
        stride = int(rng.choice([1, 2, 2, 3])) if min(side) > 8 else 1
        kernel = int(rng.choice(small or [1]))
        kernel = kernel if kernel <= min(side) // pool else 1
        padding = int(rng.integers(0, max(1, kernel // 2 + 1)))
        channels = int(rng.choice([2, 4, 8, 20] if max(side) < 20 else [1, 2]))
        layers.append(Spec(channels, kernel, stride, padding, pool, bias=bool(rng.integers(0, 2))))
    if rng.random() < 0.6:
        layers.append(Spec(int(rng.choice([4, 10, 300, 1100]))))
    return Net(shape, tuple(layers))


def extents(net: Net) -> tuple[int, int]:
    """Return rows and columns of the last layer's maps."""
    rows, columns = net.shape[1:]
    for each in net.layers:
        rows, columns = (
            (extent // each.pool + 2 * each.padding - each.kernel) // each.stride + 1
            if each.kernel else 1
            for extent in (rows, columns)
        )  # fmt: skip
    return rows, columns


def possible(net: Net) -> Net:
    """Return the network with kernels and pools that its maps are large enough for."""
    layers: list[Spec] = []
    for each in net.layers:
        side = min(extents(Net(net.shape, tuple(layers))))
        pool = each.pool if each.pool <= side else 1
        if each.kernel > side // pool + 2 * each.padding:
            each = replace(each, kernel=1, padding=0)
        layers.append(replace(each, pool=pool))
    return replace(net, layers=tuple(layers))


def refused_because(net: Net) -> list[Violation | str]:
    """Return the violations of a network; none where it is placed."""
    try:
        image = place(program(net), SPECK)
    except FitError as error:
        return list(error.found)
    verify(image)
    return []


def test_every_advice_followed_in_turn_ends_in_a_network_that_fits():
    rng = np.random.default_rng(12)
    refused = 0
    for _ in range(60):
        net, rounds = possible(random_net(rng)), 0
        while found := refused_because(net):
            net, rounds = possible(followed(net, found[0])), rounds + 1
            assert rounds < 30, (net, found)
        refused += rounds
    assert refused > 40


# --- geometry that the chip has not ------------------------------------------------------------


def test_a_stride_of_3_is_refused_with_the_nearest():
    found = only(violations(Net((1, 64, 64), (Spec(8, 3, 3), Spec(4, 1)))))
    assert found == "'conv0' has the stride 3: speck2f has 1, 2, 4, 8: use the stride 2"


def test_a_kernel_of_17_is_refused():
    found = only(violations(Net((1, 30, 30), (Spec(2, 17),))))
    assert (found.figure, found.limit) == (17, 16)
    assert found.fix == "use a kernel of at most 16 x 16"


def test_a_dense_layer_on_a_map_of_20_is_refused_and_pooling_makes_it_fit():
    net = Net((2, 20, 20), (Spec(10),))
    found = only(violations(net))
    assert str(found) == (
        "'conv0' needs 20 rows of kernel, the limit is 16: bring the map of 'in' down to "
        "16 x 16 or less (pool it)"
    )
    placed(followed(net, found))


def test_too_large_maps_are_refused_by_row_and_column_together_with_what_else_is_wrong():
    found = violations(Net((1, 200, 200), (Spec(4, 3, 1, 9), Spec(2, 1, 8))))
    assert {(each.what, each.figure, each.limit) for each in found if each.object == "'conv0'"} == {
        ("rows of padding", 9, 7),
        ("rows of input", 200, 128),
        ("columns of input", 200, 128),
        ("rows of output", 216, 64),
        ("columns of output", 216, 64),
    }


def test_a_layer_that_sends_to_three_is_refused_and_repeated_it_fits():
    reads = {"reads": "conv0"}
    net = Net(
        (1, 8, 8), (Spec(2, 3), Spec(2, 3, **reads), Spec(3, 3, **reads), Spec(4, 3, **reads))
    )
    found = only(violations(net))
    assert str(found) == (
        "'conv0' needs 3 layers that it sends to, the limit is 2: let it send to 2 at most: "
        "repeat the layer for the others"
    )
    twice = Net(
        (1, 8, 8),
        (Spec(2, 3), Spec(2, 3, reads="conv0"), Spec(3, 3, reads="conv0"), Spec(2, 3, reads="in"),
         Spec(4, 3, reads="conv3")),
    )  # fmt: skip
    placed(twice)


def test_a_layer_with_two_thresholds_is_refused():
    found = only(violations(Net((1, 6, 6), (Spec(2, 3, threshold=(5, 6)),))))
    assert (found.object, found.what, found.figure) == ("'conv0'", "different thresholds", 2)
    placed(Net((1, 6, 6), (Spec(2, 3, threshold=5),)))


def joined(first: Any, second: Any) -> Program:
    """Return in -> a, in -> b, and both -> c with these weights."""
    base = program(Net((1, 6, 6), (Spec(2, 3, 1, 1), Spec(2, 3, 1, 1, reads="in"))))
    cell = neutral_cell(8, v_threshold=np.full(8, 9, np.int32))
    populations = dict(base.populations) | {"c": CellPopulation("IF", (8,), cell, np.ones(8))}
    more = tuple(
        Synapses(pre, pre, "c", matrix.astype(np.int32), 0, "signed", 8, 0)
        for pre, matrix in (("conv0", first), ("conv1", second))
    )
    return replace(
        base, populations=populations, synapses=(*base.synapses, *more), outputs={"out": "c"}
    )


def test_two_senders_share_a_kernel_or_are_refused_by_name():
    rng = np.random.default_rng(2)
    first, second = rng.integers(1, 90, (2, 8, 72))
    with pytest.raises(FitError, match="'c' has different weights from 'conv0' and 'conv1'"):
        place(joined(first, second), SPECK)
    image = verify(place(joined(first, first), SPECK))
    assert image.plan.layers["c"].sources == {"conv0": 1, "conv1": 1}


def test_a_bias_that_differs_within_a_channel_is_refused():
    whole = program(Net((1, 40, 40), (Spec(2, 3, bias=True),)))
    uneven = np.arange(2 * 38 * 38, dtype=np.int32)[:, None] % 100
    synapses = (whole.synapses[0], replace(whole.synapses[1], mantissa=uneven))
    with pytest.raises(FitError, match="the bias of 'conv0' differs within a channel"):
        place(replace(whole, synapses=synapses), SPECK)


def test_memories_given_once_are_every_cores_and_other_counts_are_refused():
    small = row(SPECK, kernel_entries=(16,), neuron_entries=(1024,), bias_entries=(8,))
    assert place(program(Net((1, 8, 8), (Spec(1, 3),))), small).cores[0].held["kernel_entries"] == (
        16,
        16,
    )
    with pytest.raises(Exception, match="has 2 values"):
        place(program(Net((1, 8, 8), (Spec(1, 3),))), row(SPECK, kernel_entries=(16, 16)))


# --- Akida: layers split over cores ------------------------------------------------------------


def test_a_large_layer_is_split_by_output_channels_into_equal_shares():
    """3 x 3 x 64 weights of 4 bits are 288 bytes a channel: 155 fit into 44800."""
    image = placed(Net((64, 4, 4), (Spec(400, 3, 1, 1),), 4), AKIDA)
    shares = [part.neurons.size // 16 for part in image.slices]
    assert shares == [133, 133, 134]
    assert [use.held["weight_bytes"] for use in image.cores] == [
        (288 * channels, 44800) for channels in shares
    ]


def test_a_channel_too_large_for_a_processor_says_how_many_inputs_fit():
    """7 x 7 weights of 4 bits from 1829 channels are 44810.5 bytes."""
    net = Net((1829, 8, 8), (Spec(2, 7),), 4)
    found = only(violations(net, AKIDA))
    assert str(found) == (
        "one channel of 'conv0' needs 44811 bytes of weights, the limit is 44800: "
        "give it at most 1828 input channels"
    )
    placed(followed(net, found), AKIDA)


def test_a_dense_layer_has_a_limit_of_its_own():
    found = only(violations(Net((57335, 1, 1), (Spec(1),), 4), AKIDA))
    assert (found.what, found.figure, found.limit) == ("inputs", 57335, 57334)
    image = placed(Net((8, 20, 20), (Spec(30),), 4), AKIDA)
    assert image.plan.layers["conv0"].dense
    assert [use.held["weight_bytes"][0] for use in image.cores] == [24000, 24000]


def test_more_shares_than_processors_are_refused():
    """Of processors with 100 bytes, one holds one channel of 200 weights of 4 bits."""
    bytes_ = AKIDA.core.weight_bytes.model_copy(update={"value": 100})
    small = AKIDA.model_copy(
        update={"core": AKIDA.core.model_copy(update={"weight_bytes": bytes_})}
    )
    found = only(violations(Net((200, 1, 1), (Spec(79),), 4), small))
    assert (found.what, found.figure, found.limit) == ("cores", 79, 78)
    placed(Net((200, 1, 1), (Spec(78),), 4), small)


def test_an_input_map_too_large_for_a_processor_is_refused_and_the_advice_fits():
    """64 x 80 x 80 spikes of one bit are 51200 bytes; 53 channels are 42400."""
    net = Net((64, 80, 80), (Spec(1, 1, 2),), 4)
    found = only(violations(net, AKIDA))
    assert (found.figure, found.limit) == (51200, 43008)
    assert "at most 53 channels" in found.fix
    placed(followed(net, found), AKIDA)


def test_neurons_with_a_membrane_are_refused_by_name():
    lif = Lif(np.full(3, 1e-2), np.ones(3), np.zeros(3), np.ones(3), np.zeros(3))
    nodes = {"in": Input((4,)), "fc": Affine(np.ones((3, 4)), np.zeros(3)), "hidden": lif}
    net = Network(
        {**nodes, "out": Output((3,))},
        (("in", "fc"), ("fc", "hidden"), ("hidden", "out")),
        semantics=Semantics(dt=1e-3),
    )
    for chip, runs in ((AKIDA, "Threshold"), (SPECK, "IF")):
        with pytest.raises(LoweringError, match="'hidden' is a LIF") as caught:
            compile_network(net, chip)
        assert f"{chip.name} runs {runs}" in str(caught.value)
