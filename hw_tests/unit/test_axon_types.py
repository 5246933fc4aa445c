"""Weights per axon type: what they can say is exact on the chip, what they cannot is stated."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

import spikeport as sp
from hw_tests.crossbar_programs import integrators, normal, on
from spikeport.backends import emulator, reference
from spikeport.compiler.clocked import Clocked, Membrane, Population, Projection
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.passes.retime_for import retime_for
from spikeport.compiler.passes.wires import passing_on
from spikeport.compiler.place.crossbar.axons import patterns, type_weights
from spikeport.compiler.program import Program
from spikeport.compiler.quantize.axon_types.levels import levels_of
from spikeport.compiler.quantize.quantize import quantize

TRUENORTH = sp.chip("truenorth")
STEPS = 30


def layered(
    matrices: dict[tuple[str, str], Any], cells: dict[str, Membrane], delay: int = 0
) -> Clocked:
    """Return a network of `in`, the constant `bias` and IF populations; the last is read out."""
    inputs = next(matrix.shape[1] for (pre, _), matrix in matrices.items() if pre == "in")
    populations = {"bias": Population("constant", (1,)), "in": Population("input", (inputs,))}
    populations |= {
        name: Population("IF", (cell.keep_v.size,), cell) for name, cell in cells.items()
    }
    projections = tuple(
        Projection(f"{pre}-{post}", pre, post, matrix, max(delay, 2 * (pre == post)), pre == post)
        for (pre, post), matrix in matrices.items()
    )
    lags = dict.fromkeys(populations, 0)
    return Clocked(1e-3, populations, projections, {"out": list(cells)[-1]}, lags)


def if_cells(size: int, **given: Any) -> Membrane:
    """Return IF neurons with a threshold of 1."""
    cell = replace(
        integrators(size, np.random.default_rng(0)), gain_v=np.ones(size), reset="to_value",
        v_threshold=np.ones(size), v_initial=np.zeros(size), v_min=np.full(size, -np.inf),
        threshold="greater_equal",
    )  # fmt: skip
    wide = {key: np.broadcast_to(x, (size,)) * 1.0 if isinstance(x, (int, float)) else x
            for key, x in given.items()}  # fmt: skip
    return replace(cell, **wide)


def quantized(network: Clocked) -> Program:
    retimed = retime_for(normal(network), TRUENORTH)
    return quantize(retimed, TRUENORTH, {}, {})


# --- what is exact -------------------------------------------------------------------------------


def whole_network(seed: int) -> Clocked:
    """Return a network in which all weights of a neuron are whole levels of one unit."""
    rng = np.random.default_rng(seed)
    sizes = {"in": int(rng.integers(2, 20)), "a": int(rng.integers(2, 15)), "b": 5}
    units = {name: rng.choice([0.125, 0.5, 1.0], sizes[name]) for name in ("a", "b")}

    def matrix(pre: str, post: str) -> Any:
        shape = (sizes[post], sizes[pre])
        levels = rng.integers(-8, 8, shape) * (rng.random(shape) < 0.7)
        return levels * units[post][:, None]

    pairs = [("in", "a"), ("a", "b"), ("b", "b"), ("b", "a")]
    matrices = {pair: matrix(*pair) for pair in pairs[: int(rng.integers(2, 5))]}
    cells = {}
    for name in ("a", "b"):
        if rng.random() < 0.6:
            matrices["bias", name] = rng.integers(-2, 4, (sizes[name], 1)) * units[name][:, None]
        cells[name] = if_cells(
            sizes[name],
            v_threshold=rng.integers(3, 24, sizes[name]) * units[name],
            v_initial=rng.integers(-3, 3, sizes[name]) * units[name],
            v_reset=rng.integers(-3, 1, sizes[name]) * units[name],
            reset=rng.choice(["to_value", "subtract"]),
            threshold=rng.choice(["greater", "greater_equal"]),
        )
    network = layered(matrices, cells)
    late = tuple(
        replace(each, delay=int(rng.integers(4, 9)))
        if (each.pre, each.post) == ("b", "a")
        else each
        for each in network.projections
    )
    return replace(network, projections=late)


@pytest.mark.parametrize("seed", range(40))
def test_whole_levels_of_a_unit_spike_on_the_chip_as_in_floats_only_later(seed: int):
    network = whole_network(seed)
    image = on(network, TRUENORTH)
    rng = np.random.default_rng(seed)
    x = {"in": rng.random((2, STEPS, network.populations["in"].size)) < 0.3}
    ideal, found = reference.run(network, x), emulator.run(image, x)
    for name in network.neurons:
        lag = image.program.lags[name]
        late = found.spikes[name].dense()[:, lag : lag + STEPS]
        assert np.array_equal(late, ideal.spikes[name].dense()[:, :STEPS]), name
    assert all(each["relative"] < 1e-12 for each in image.program.losses)


def test_such_networks_spike_and_have_both_kinds_of_biases():
    images = [on(whole_network(seed), TRUENORTH) for seed in range(60)]
    leaks = [
        any(image.program.populations[name].cell.bias_mantissa.any() for name in ("a", "b"))
        for image in images
    ]
    axons = ["bias" in image.program.populations for image in images]
    assert np.count_nonzero(leaks) > 10
    assert np.count_nonzero(axons) > 3
    spikes = []
    for seed in range(20):
        x = {"in": np.ones((1, STEPS, whole_network(seed).populations["in"].size))}
        spikes.append(reference.run(whole_network(seed), x).spikes["b"].total)
    assert np.count_nonzero(spikes) > 15


# --- how many types ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fan_in", "types"), [(64, 4), (65, 3), (85, 3), (86, 2), (128, 2), (129, 2), (300, 2)]
)
def test_a_population_takes_as_many_types_as_its_fan_in_leaves_axons_for(fan_in: int, types: int):
    weights = np.random.default_rng(0).normal(size=(5, fan_in))
    found = levels_of(sparse.csr_matrix(weights), 256, 4)
    assert found.types == types
    least = {4: (-8, 8), 3: (-4, 4), 2: (-1, 1)}[types]
    assert least[0] <= found.levels.data.min() < 0 < found.levels.data.max() <= least[1]


def test_weights_of_one_sign_need_one_type_where_no_more_axons_are_left():
    found = levels_of(sparse.csr_matrix(np.full((2, 200), -0.3)), 256, 4)
    assert found.types == 1
    assert found.levels.toarray().tolist() == [[-1] * 200] * 2
    assert np.allclose(found.unit, 0.3, rtol=1e-15)


def test_more_types_lose_less():
    rng = np.random.default_rng(1)
    lost = []
    for fan_in in (64, 85, 128):
        weights = rng.normal(size=(200, fan_in))
        found = levels_of(sparse.csr_matrix(weights), 256, 4)
        error = found.levels.toarray() * found.unit[:, None] - weights
        lost.append(float(np.sqrt(np.mean(error**2))))
    assert lost[0] < 0.12 < lost[1] < 0.2 < lost[2] < 0.5


@pytest.mark.parametrize("seed", range(10))
def test_no_other_unit_of_a_fine_grid_loses_much_less(seed: int):
    weights = np.random.default_rng(seed).normal(size=(1, 30))
    found = levels_of(sparse.csr_matrix(weights), 256, 4)
    error = np.sum((found.levels.toarray() * found.unit[:, None] - weights) ** 2)
    best = np.inf
    for unit in np.linspace(0.02, 1.0, 3000) * np.abs(weights).max():
        for low, high in ((-8, 7), (-7, 8)):
            levels = np.clip(np.rint(weights / unit), low, high)
            best = min(best, float(np.sum((levels * unit - weights) ** 2)))
    assert error <= 1.6 * best


@pytest.mark.parametrize("seed", range(15))
def test_types_are_found_again_from_the_integers_of_what_was_quantized(seed: int):
    rng = np.random.default_rng(seed)
    weights = rng.normal(rng.normal(), 1.0, (20, int(rng.integers(1, 120))))
    weights *= rng.random(weights.shape) < rng.choice([0.1, 0.5, 1.0])
    found = levels_of(sparse.csr_matrix(weights), 256, 4)
    factor = rng.integers(1, 255 // found.largest + 1)
    whole = found.levels.toarray() * factor[:, None]
    made, levels, chosen = type_weights(sparse.csr_matrix(whole), 4, 9)
    assert (chosen >= 0).all()
    assert np.abs(made).max(initial=0) <= 255
    for row, unit, number in zip(whole, levels, chosen, strict=True):
        pattern = patterns(4)[number]
        assert ((pattern.low <= row // unit) & (row // unit <= pattern.high)).all()


def test_a_type_weight_never_leaves_its_nine_bits_for_the_sake_of_fewer_types():
    """2, -2 and 1 times 93 take three types, but one of -372; times 31 four types of -248."""
    whole = sparse.csr_matrix(np.array([[186, -186, 93]]))
    made, _, _ = type_weights(whole, 4, 9)
    assert made.tolist() == [[31, 62, 124, -248]]
    wider, _, _ = type_weights(whole, 4, 10)
    assert wider.tolist() == [[93, 186, -372, 0]]


# --- biases --------------------------------------------------------------------------------------


def test_a_bias_becomes_the_leak_and_v_starts_lower_by_what_it_gains_before_the_first_step():
    matrices = {("in", "a"): np.full((1, 2), 0.5), ("bias", "a"): np.full((1, 1), 0.25),
                ("a", "b"): np.ones((1, 1)), ("bias", "b"): np.full((1, 1), 0.125)}  # fmt: skip
    program = quantized(layered(matrices, {"a": if_cells(1), "b": if_cells(1)}))
    assert "bias" not in program.populations
    for name, share in (("a", 0.25), ("b", 0.125)):
        cell: Any = program.populations[name].cell
        assert cell.bias_mantissa[0] / cell.v_threshold[0] == share
        assert cell.v_initial[0] == -cell.bias_mantissa[0] * program.lags[name]


def test_a_bias_that_would_take_v_over_the_threshold_on_the_way_stays_an_axon():
    matrices = {("in", "a"): np.full((1, 2), 0.5), ("bias", "a"): np.full((1, 1), -2.0)}
    program = quantized(layered(matrices, {"a": if_cells(1)}))
    assert not program.populations["a"].cell.bias_mantissa.any()
    assert "bias" in [each.pre for each in program.synapses]


# --- what is refused -----------------------------------------------------------------------------


def one(cell: Membrane, kind: str = "IF") -> Clocked:
    network = layered({("in", "a"): np.ones((cell.keep_v.size, 2))}, {"a": cell})
    populations = dict(network.populations)
    populations["a"] = replace(populations["a"], kind=kind)
    return replace(network, populations=populations)


def test_a_leaky_neuron_is_refused_by_name_with_what_would_work():
    leaky = one(if_cells(1, keep_v=0.9), "LIF")
    with pytest.raises(LoweringError, match=r"'a' is a LIF: truenorth runs IF"):
        quantized(leaky)
    quantized(one(if_cells(1)))


def test_a_chip_file_that_allows_leaky_neurons_cannot_make_them_run():
    loose = TRUENORTH.model_copy(update={"kinds": ("IF", "LIF")})
    retimed = retime_for(normal(one(if_cells(1, keep_v=0.9), "LIF")), loose)
    with pytest.raises(LoweringError, match="use IF neurons without a leak"):
        quantize(retimed, loose, {}, {})


def test_real_values_are_refused_with_what_would_work():
    retimed = retime_for(normal(one(if_cells(1))), TRUENORTH)
    with pytest.raises(LoweringError, match="encode the input as spikes"):
        quantize(retimed, TRUENORTH, {}, {"in": True})


@pytest.mark.parametrize(("theta", "compared"), [(-0.5, "greater"), (0.0, "greater_equal")])
def test_a_threshold_at_or_below_the_reset_level_is_refused(theta: float, compared: str):
    with pytest.raises(LoweringError, match="the threshold of 'a' is not above its reset level"):
        quantized(one(if_cells(1, v_threshold=theta, threshold=compared)))


def test_a_relay_repeats_each_of_its_sources_and_one_that_must_forget_is_refused():
    relay = passing_on(1, "binary")
    program = quantized(one(relay, "Relay"))
    assert not program.populations["a"].cell.decay_v.any()  # nothing is left that it would forget
    assert (program.synapses[0].mantissa >= program.populations["a"].cell.v_threshold).all()
    weak = replace(relay, v_threshold=np.full(1, 1.5))
    with pytest.raises(LoweringError, match="give the sources that meet there weights of 1"):
        quantized(one(weak, "Relay"))


def test_losses_name_every_projection_threshold_and_bias():
    rng = np.random.default_rng(0)
    matrices = {("in", "a"): rng.normal(size=(4, 100)), ("bias", "a"): np.full((4, 1), 0.1)}
    losses = quantized(layered(matrices, {"a": if_cells(4, v_threshold=20.0)})).losses
    assert [(each["object"], each["what"]) for each in losses] == [
        ("in-a", "weights"), ("a", "threshold"), ("a", "bias"),
    ]  # fmt: skip
    assert 0.3 < losses[0]["relative"] < 0.6  # -1, 0 and 1: three levels
    assert losses[1]["relative"] < 0.01
    assert "2 axons per source" in losses[0]["detail"]
