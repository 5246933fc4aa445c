"""What a recipe may ask for, and what is made of it: lists, splits, scales, roundings."""

from __future__ import annotations

from itertools import pairwise, product
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from spikeport.calibration import Watch
from spikeport.compiler.errors import DataError, LoweringError
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.program import Program
from spikeport.compiler.quantize.output import round_for_output
from spikeport.compiler.quantize.part import part_of
from spikeport.compiler.quantize.recipe import Recipe, Wish, parse_wish
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.cuba_li import CubaLi
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif

Array = np.ndarray[Any, Any]
LOIHI = sp.chip("loihi1")
DT = 1e-3
PLAIN = Recipe(scales="population")


def lif(size: int, tau: float = 10 * DT, theta: float = 1.0) -> Lif:
    one = np.ones(size)
    return Lif(tau * one, 10 * one, 0 * one, theta * one, 0 * one)


def row(*parts: tuple[str, Any]) -> Network:
    names = [name for name, _ in parts]
    return Network(dict(parts), tuple(pairwise(names)), Semantics(dt=DT, dialect="nir"))


def net(seed: int = 0, pre: int = 20, post: int = 12, spread: float = 1.0) -> Network:
    """Weights whose sizes differ: between neurons by `spread`, and among those of one."""
    rng = np.random.default_rng(seed)
    weights = rng.standard_t(3, (post, pre)) * 0.3 * np.geomspace(1, spread, post)[:, None]
    return row(
        ("in", Input((pre,))), ("fc", Affine(weights, rng.normal(0, 0.1, post))),
        ("n", lif(post)), ("out", Output((post,))),
    )  # fmt: skip


def spikes(seed: int = 1, pre: int = 20, samples: int = 8, steps: int = 60) -> Array:
    return (np.random.default_rng(seed).random((samples, steps, pre)) < 0.2).astype(np.uint8)


def made(how: str, network: Network | None = None, **more: Any) -> Program:
    recipe = Recipe({"": parse_wish(how)}, **more)
    return sp.compile(network or net(), calibration=spikes(), recipe=recipe).program


def floats_of(program: Program, projection: str, post: str = "n") -> Array:
    """Return a projection's weights as the chip holds them, in the network's units (r = 10)."""
    scale = program.populations[post].scale[:, None] / 64
    held = [each for each in program.synapses if each.projection == projection]
    return np.asarray(sum(_dense(s.mantissa) * 2.0**s.exponent for s in held) / scale)


def _dense(matrix: Any) -> Array:
    return np.asarray(matrix.toarray() if hasattr(matrix, "toarray") else matrix)


def weights_of(network: Network, name: str = "fc") -> Array:
    return np.asarray(network.nodes[name].weight)  # times r * dt / tau, which is 1


# --- words -----------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["8", "4:sign", "8+8", "8+4@0.25", "8:sign-size", "8+8:size"])
def test_a_wish_is_written_as_it_is_read(text: str):
    assert str(parse_wish(text)) == text


@pytest.mark.parametrize("text", ["", "eight", "8+", "8:colour", "8+8@0", "8+8@2", "33", "-4"])
def test_what_is_no_wish_is_refused(text: str):
    with pytest.raises(LoweringError):
        parse_wish(text)


def test_a_recipe_knows_its_words():
    with pytest.raises(LoweringError, match="unknown rounding 'up': known are nearest, output"):
        Recipe(rounding="up")


@pytest.mark.parametrize(
    ("recipe", "chip", "message"),
    [
        (Recipe({"cf": Wish((4,))}), "loihi1", r"no weights 'cf'(?s:.*)--weights fc=4"),
        (Recipe({"": Wish((9,))}), "loihi1", "cannot have 9 bits"),
        (Recipe({"": Wish((7,))}), "loihi1", "holds 1, 2, 3, 4, 5, 6, 8"),
        (Recipe({"fc": Wish((4,), "sign")}), "spinnaker2", "lists by sign"),
        (Recipe(rounding="output"), "loihi1", "there is none(?s:.*)--data"),
    ],
)
def test_a_recipe_that_cannot_be_followed_is_refused(recipe: Recipe, chip: str, message: str):
    with pytest.raises(LoweringError, match=message):
        sp.compile(net(), chip, recipe=recipe)


def test_a_chip_with_a_quantizer_of_its_own_takes_no_recipe():
    one = np.ones(3)
    network = row(("in", Input((4,))), ("fc", Linear(np.ones((3, 4)))),
                  ("n", If(one / DT, one, 0 * one)), ("out", Output((3,))))  # fmt: skip
    assert sp.compile(network, "truenorth")
    with pytest.raises(LoweringError, match="odin holds one weight for a pair of neurons"):
        sp.compile(network, "odin", recipe=Recipe({"fc": Wish((3, 3))}))
    with pytest.raises(LoweringError, match="truenorth takes no recipe"):
        sp.compile(network, "truenorth", recipe=Recipe())


def test_data_on_which_nothing_or_everything_spikes_calibrates_nothing():
    recipe, silent = Recipe(rounding="output"), 0 * spikes()
    with pytest.raises(DataError, match="the calibration data holds no spike"):
        sp.compile(net(), calibration=silent, recipe=recipe)
    some = silent.copy()
    some[0, 0, 0] = 1
    quiet = row(("in", Input((20,))), ("fc", Linear(np.full((3, 20), 0.1))), ("n", lif(3)),
                ("out", Output((3,))))  # fmt: skip
    with pytest.raises(DataError, match="no neuron spikes on the calibration data"):
        sp.compile(quiet, calibration=some, recipe=recipe)
    restless = row(("in", Input((20,))), ("fc", Affine(np.zeros((3, 20)), np.full(3, 9.0))),
                   ("n", lif(3)), ("out", Output((3,))))  # fmt: skip
    with pytest.raises(DataError, match="every neuron spikes in every step"):
        sp.compile(restless, calibration=some, recipe=recipe)


# --- lists and splits ------------------------------------------------------------------------


@pytest.mark.parametrize("lists", ["row", "sign", "size", "sign-size"])
def test_lists_of_their_own_hold_each_weight_once_and_better(lists: str):
    network = net()
    scales = "population" if lists == "row" else "neuron"  # which does the same for a neuron
    plain, better = (made(how, network, scales=scales) for how in ("8", f"8:{lists}"))
    for program in (plain, better):
        wanted = np.count_nonzero(weights_of(network))
        held = [each for each in program.synapses if each.projection == "fc"]
        taken = sum((_dense(each.stored) != 0).astype(int) for each in held)
        assert taken.max() <= 1
        assert taken.sum() <= wanted
    errors = [np.square(floats_of(each, "fc") - weights_of(network)).mean()
              for each in (plain, better)]  # fmt: skip
    assert errors[1] < errors[0]


def test_a_list_of_one_sign_has_all_its_bits_for_the_size():
    held = [each for each in made("8:sign").synapses if each.projection == "fc"]
    assert sorted(each.sign_mode for each in held) == ["excitatory", "inhibitory"]
    assert all(abs(int(each.mantissa.min())) <= 255 for each in held)
    assert [each.name for each in held] == ["fc", "fc#2"]
    assert [each.part_of for each in held] == ["", "fc"]


def test_two_synapses_hold_what_one_rounds_away():
    network = net()
    one, two = made("8", network), made("8+8", network)
    wrong = [np.abs(floats_of(each, "fc") - weights_of(network)) for each in (one, two)]
    assert wrong[1].max() < wrong[0].max() / 8
    fine = min((each for each in two.synapses if each.projection == "fc"), key=lambda s: s.exponent)
    half_a_step = 2.0**fine.exponent * (64 / two.populations["n"].scale[:, None])
    assert (wrong[1] <= half_a_step * (1 + 1e-9)).all()  # mixed signs: a step is 2
    wanted = sum(np.count_nonzero(network.nodes["fc"].weight) + 12 for _ in range(2))
    assert sum(each.count for each in two.synapses) <= wanted


def test_a_share_of_the_neurons_is_split():
    network = net(spread=20.0)
    some = made("8+8@0.25", network)
    second = [each for each in some.synapses if each.part_of == "fc"]
    split = np.flatnonzero((_dense(second[0].stored) != 0).any(axis=1))
    assert split.size == 3  # of 12


def test_fewer_bits_are_fewer_bits():
    for bits in (1, 2, 3, 4, 5, 6):
        held = [each for each in made(f"{bits}").synapses if each.projection == "fc"]
        values = np.unique(_dense(held[0].mantissa))
        assert values.size <= 2**bits
        assert held[0].weight_bits == bits


def test_all_weights_zero_and_one_huge_weight_are_said():
    nodes = dict(net().nodes)
    zero = row(*({**nodes, "fc": Linear(np.zeros((12, 20)))}).items())
    notes = sp.compile(zero, calibration=spikes()).program.notes
    assert any("all weights of 'fc' are 0" in note for note in notes)
    weights = np.random.default_rng(0).uniform(0.1, 0.3, (12, 20))
    weights[:, 3] = -500.0
    huge = row(*({**nodes, "fc": Linear(weights)}).items())
    notes = sp.compile(huge, calibration=spikes()).program.notes
    (said,) = (note for note in notes if "became 0" in note)
    advised = said.rpartition("--weights ")[2]
    assert advised == "fc=8:size"
    name, _, how = advised.partition("=")
    program = sp.compile(huge, calibration=spikes(), recipe=Recipe({name: parse_wish(how)})).program
    assert not any("became 0" in note for note in program.notes)
    wrong = np.abs(floats_of(program, "fc") - weights)
    assert wrong[weights > 0].max() < 0.05


# --- scales ----------------------------------------------------------------------------------


def test_two_populations_have_no_more_thresholds_than_a_core():
    program = sp.compile(net(spread=30.0), calibration=spikes()).program
    assert 1 < np.unique(program.populations["n"].cell.v_threshold).size <= 7
    plain = sp.compile(net(spread=30.0), calibration=spikes(), recipe=PLAIN).program
    assert np.unique(plain.populations["n"].cell.v_threshold).size == 1


@pytest.mark.parametrize("seed", range(4))
def test_a_scale_for_each_neuron_loses_less_than_one_for_all(seed: int):
    network = net(seed, spread=30.0)
    wanted = np.hstack([weights_of(network), np.asarray(network.nodes["fc"].bias)[:, None]])
    size = np.abs(wanted).max(axis=1, keepdims=True)
    relative = [
        np.square(
            (np.hstack([floats_of(program, "fc"), floats_of(program, "fc.bias")]) - wanted) / size
        ).sum()
        for program in (
            sp.compile(network, calibration=spikes(), recipe=recipe).program
            for recipe in (PLAIN, Recipe(ranges="largest"), Recipe())
        )
    ]
    assert relative[1] < relative[0] / 4
    assert relative[2] <= relative[1] * 1.01


def test_a_percentile_lets_the_largest_weights_be_clipped():
    rng = np.random.default_rng(0)
    weights = rng.normal(0, 0.02, (3, 4000))
    weights[:, 0] = 1.0
    network = row(("in", Input((4000,))), ("fc", Linear(weights)), ("n", lif(3)),
                  ("out", Output((3,))))  # fmt: skip
    x = spikes(1, 4000, 1, 10)
    wrong = {}
    for ranges in ("largest", "percentile"):
        program = sp.compile(network, calibration=x, recipe=Recipe(ranges=ranges)).program
        wrong[ranges] = np.abs(floats_of(program, "fc") - weights)
    assert wrong["largest"][:, 0].max() < 0.01 < 0.5 < wrong["percentile"][:, 0].min()
    assert wrong["percentile"][:, 1:].mean() < wrong["largest"][:, 1:].mean() / 4


def test_watching_a_run_tells_the_depths_that_a_neuron_came_back_from():
    watch = Watch()
    for v, sent in ((-3.0, 0), (-1.0, 0), (0.0, 1), (-9.0, 0), (-8.0, 0)):
        watch("n", {"u": np.zeros((1, 1)), "v": np.full((1, 1), v)}, np.full((1, 1), sent))
    assert watch.returned["n"].tolist() == [-3.0]  # from -9 it never came back
    assert watch.largest["n", "v"].tolist() == [9.0]


# --- rounding --------------------------------------------------------------------------------


def objective(steps: Array, values: Array, unit: float, trace: Array) -> float:
    return float(np.square((steps * unit - values).reshape(-1, len(trace)) @ trace).sum())


@pytest.mark.parametrize("seed", range(10))
def test_rounding_for_the_output_is_never_worse_than_the_nearest_and_often_the_best(seed: int):
    rng = np.random.default_rng(seed)
    values = rng.uniform(-90, 90, (1, 5))
    trace = rng.random((5, 40)).astype(np.float32) + 1.0
    part = part_of(values.ravel(), values, "one", 4, LOIHI)
    unit = float(part.unit)
    (found,) = round_for_output([part], [values], [trace])
    nearest = part.nearest()
    low, high = (int(each) for each in part.ends)
    choices = [
        np.array(each)
        for each in product(*(range(int(n) - 1, int(n) + 2) for n in nearest))
        if min(each) >= low and max(each) <= high
    ]
    best = min(objective(each, values, unit, trace) for each in choices)
    assert objective(found, values, unit, trace) <= objective(nearest, values, unit, trace) * 1.02
    assert objective(found, values, unit, trace) <= best * 40 + 1e-6
    assert (np.abs(found - values.ravel() / unit) <= 2).all()


@pytest.mark.parametrize("sparse", [False, True])
def test_rounding_for_the_output_holds_on_data_that_it_was_not_made_on(sparse: bool):
    network = net(post=40, pre=60)
    if sparse:
        weights = weights_of(network) * (np.random.default_rng(5).random((40, 60)) < 0.3)
        network = row(*({**network.nodes, "fc": Linear(weights)}).items())
    x, other = spikes(3, 60, 16), spikes(4, 60, 40)
    ideal, parted = sp.run(network, other), {}
    for rounding in ("nearest", "output"):
        recipe = Recipe({"": parse_wish("4")}, rounding=rounding)
        image = sp.compile(network, calibration=x, recipe=recipe)
        parted[rounding] = sp.compare(ideal, sp.run(image, other)).different
    assert parted["output"] < 0.95 * parted["nearest"]


@pytest.mark.parametrize("more", [{"ranges": "raster"}, {"correct": True}])
def test_scales_and_thresholds_chosen_by_the_raster_agree_better_on_it(more: dict[str, Any]):
    network, x = net(2), spikes(5)
    ideal = sp.run(network, x)
    parted = []
    for recipe in (Recipe({"": parse_wish("5")}), Recipe({"": parse_wish("5")}, **more)):
        image = sp.compile(network, calibration=x, recipe=recipe)
        parted.append(sp.compare(ideal, sp.run(image, x)).different)
    assert parted[1] < parted[0]


def test_a_gain_makes_up_for_a_decay_that_a_register_misses():
    one = np.ones(3)
    slow = CubaLi(1500 * DT * one, 2 * DT * one, one, 0 * one, one)  # 4096 / 1500 = 2.73: 3 is held
    network = row(("in", Input((4,))), ("fc", Linear(np.ones((3, 4)))), ("n", slow),
                  ("out", Output((3,))))  # fmt: skip
    x = spikes(0, 4, 2, 3000)
    ideal = sp.run(network, x, probe=["n.v"]).v_window("n")[:, 1500:]
    wrong = {}
    for decays in ("nearest", "gain"):
        image = sp.compile(network, calibration=x, recipe=Recipe(decays=decays))
        v = sp.run(image, x, probe=["n.v"]).v_window("n")[:, 1500:]
        wrong[decays] = np.abs(v / ideal - 1).mean()
    assert wrong["gain"] < wrong["nearest"] / 2


def test_a_decay_that_is_missed_is_said_with_a_dt_that_hits_it():
    one = np.ones(3)
    x = spikes(0, 4, 2, 30)

    def notes(dt: float) -> tuple[list[str], float]:
        nodes = {"in": Input((4,)), "fc": Linear(np.ones((3, 4))),
                 "n": Lif(0.4 * one, one, 0 * one, one, 0 * one), "out": Output((3,))}  # fmt: skip
        network = Network(nodes, tuple(pairwise(nodes)), Semantics(dt=dt, dialect="nir"))
        program = sp.compile(network, calibration=x).program
        (lost,) = (row["relative"] for row in program.losses if row["what"] == "decay_v")
        return [note for note in program.notes if "miss a decay" in note], lost

    (said,), lost = notes(1e-3)  # 4096 / 400 is 10.24
    assert f"miss a decay by up to {100 * lost:.1f} %" in said
    advised = float(said.partition("--dt ")[2].split()[0])
    assert abs(advised / 1e-3 - 1) < 0.1
    told, better = notes(advised)
    assert told == []
    assert better < lost / 2


def test_what_biases_lost_is_made_up_for_in_bias_registers():
    network, x = net(3), spikes(5)
    recipe = Recipe({"": parse_wish("8"), "fc.bias": parse_wish("1")}, correct=True)
    rough = Recipe(recipe.weights)
    ideal, parted = sp.run(network, x), []
    for each in (rough, recipe):
        image = sp.compile(network, calibration=x, recipe=each)
        parted.append(sp.compare(ideal, sp.run(image, x)).different)
    assert image.program.populations["n"].cell.bias_mantissa.any()
    assert parted[1] < parted[0] / 2
