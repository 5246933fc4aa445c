"""What layers a chip of layers cannot hold, and that it fits when the advice is followed."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from hw_tests.layer_networks import (
    AKIDA,
    SPECK,
    Net,
    Spec,
    extents,
    followed,
    only,
    placed,
    possible,
    program,
    violations,
)
from spikeport.compiler.errors import FitError, LoweringError, Violation
from spikeport.compiler.network import Affine, Input, Network, Output
from spikeport.compiler.pipeline import compile_network
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.lif import Lif

# --- every advice works ------------------------------------------------------------------------


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
    for _ in range(40):
        net, rounds = possible(random_net(rng)), 0
        while found := refused_because(net):
            net, rounds = possible(followed(net, found[0])), rounds + 1
            assert rounds < 30, (net, found)
        refused += rounds
    assert refused > 20


# --- geometry that the chip has not ------------------------------------------------------------


def test_a_stride_of_3_is_refused_with_the_nearest():
    found = only(violations(Net((1, 64, 64), (Spec(8, 3, 3), Spec(4, 1)))))
    assert found == "'conv0' has the stride 3: speck2f has 1, 2, 4, 8: use the stride 2"


def test_a_kernel_of_17_is_refused():
    found = only(violations(Net((1, 30, 30), (Spec(2, 17),))))
    assert (found.figure, found.limit) == (17, 16)
    assert found.fix == "use a kernel of at most 16 x 16"


def test_a_dense_layer_on_a_map_of_20_is_refused_and_pooling_makes_it_fit():
    net = Net((2, 20, 20), (Spec(3, 1), Spec(10)))
    found = only(violations(net))
    assert str(found) == (
        "'conv1' needs 20 rows of kernel, the limit is 16: bring the map of 'conv0' down to "
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
        ("neuron entries", 4 * 2**16, 65536),
    }


def test_a_map_with_one_synapse_missing_is_no_convolution():
    whole = program(Net((1, 36, 36), (Spec(1, 3),)))
    pruned = whole.synapses[0].mantissa.copy()
    pruned.data[5000] = 0
    synapses = (whole.synapses[0].with_mantissa(pruned),)
    with pytest.raises(FitError, match="from 'in' to 'conv0' are no convolution"):
        place(replace(whole, synapses=synapses), SPECK)


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
        Synapses.of(pre, pre, "c", matrix.astype(np.int32), 0, "signed", 8, 0)
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
    synapses = (whole.synapses[0], whole.synapses[1].with_mantissa(uneven))
    with pytest.raises(FitError, match="the bias of 'conv0' differs within a channel"):
        place(replace(whole, synapses=synapses), SPECK)


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
