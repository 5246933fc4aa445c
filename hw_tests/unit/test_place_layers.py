"""Cores that hold a layer each: the memory formulae, which convolution a matrix is, which core
holds which layer, and layers that are split over cores."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

from hw_tests.layer_networks import (
    AKIDA,
    SIXTEEN_BITS,
    SPECK,
    Net,
    Spec,
    followed,
    only,
    placed,
    program,
    violations,
)
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError
from spikeport.compiler.network import Convolution
from spikeport.compiler.passes.convolution import conv_matrix
from spikeport.compiler.place.layers.memory import (
    Layer,
    entries_of,
    kernel_entries,
    neuron_entries,
)
from spikeport.compiler.place.layers.shape import Window
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell

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
    synapses = (Synapses.of("w", "in", "a", whole, 0, "signed", 8, 0),)
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


def test_an_image_that_goes_into_a_dense_layer_is_channels():
    layer = placed(Net((1, 28, 28), (Spec(64),))).plan.layers["conv0"]
    assert layer.before == (784, 1, 1)
    assert entries_of(layer)["kernel_entries"] == 784 * 64


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


def row(chip: Chip, **values: tuple[int, ...]) -> Chip:
    """Return a chip with other memories."""
    changed = {
        name: getattr(chip.core, name).model_copy(update={"values": given})
        for name, given in values.items()
    }
    return chip.model_copy(update={"core": chip.core.model_copy(update=changed)})


def test_memories_given_once_are_every_cores_and_other_counts_are_refused():
    small = row(SPECK, kernel_entries=(16,), neuron_entries=(1024,), bias_entries=(8,))
    assert place(program(Net((1, 8, 8), (Spec(1, 3),))), small).cores[0].held["kernel_entries"] == (
        16,
        16,
    )
    with pytest.raises(ChipError, match="has 2 values"):
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
