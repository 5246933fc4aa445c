"""The parts of the dialect finder: many settings at once, the space, the words."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.errors import DataError, SemanticsError
from spikeport.compiler.measure import dialect_space as space
from spikeport.compiler.measure.dialect import find
from spikeport.compiler.measure.dialect_block import HOPELESS, Block, Candidate, shifted
from spikeport.compiler.measure.dialect_words import Saying
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.pipeline import prepare
from spikeport.compiler.semantics import PRESETS, Semantics
from spikeport.data import Data
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif

DT = 1e-3


def same(value, size):
    return np.full(size, float(value))


def chain(*neurons, seed=0, recurrent=False):
    """Input of 6, then each neuron behind a dense layer with a bias."""
    rng = np.random.default_rng(seed)
    nodes = {"input": Input((6,))}
    size = 6
    for number, neuron in enumerate(neurons, 1):
        n = neuron.v_threshold.size
        nodes[f"fc{number}"] = Affine(rng.normal(0.4, 1.0, (n, size)), rng.normal(0, 0.2, n))
        nodes[f"lif{number}"] = neuron
        size = n
    nodes["output"] = Output((size,))
    edges = list(itertools.pairwise(nodes))
    if recurrent:
        n = neurons[0].v_threshold.size
        nodes["rec"] = Linear(rng.normal(0, 0.4, (n, n)))
        edges += [("lif1", "rec"), ("rec", "lif1")]
    return Network(nodes, tuple(edges), name="chain")


def lif(size, tau=0.01, r=10.0):
    return Lif(*(same(v, size) for v in (tau, r, 0.0, 1.0, 0.0)))


def cuba(size, r=10.0, w_in=5.0):
    return CubaLif(*(same(v, size) for v in (0.01, 0.005, r, 0.0, 1.0, 0.0, w_in)))


def spikes_in(seed=1, steps=60, samples=2):
    rng = np.random.default_rng(seed)
    return Data({"input": (rng.random((samples, steps, 6)) < 0.25).astype(float)}, None, "current")


def recorded_under(net, said, data):
    traces = sp.run(net.with_semantics(said), data)
    return {name: traces.window(name) for name in net.neurons}


def far(ours, theirs):
    """The distance, stated once more: differing cells, and twice the spikes too many or few."""
    counts = np.abs(ours.sum(axis=1, dtype=int) - theirs.sum(axis=1, dtype=int)).sum()
    return int((ours != theirs).sum() + 2 * counts)


# --- many settings at once ---------------------------------------------------------------------


@pytest.mark.parametrize("recurrent", [False, True])
def test_rows_of_settings_are_as_far_as_single_runs_of_the_reference(recurrent):
    net = chain(cuba(8), recurrent=recurrent)
    data = spikes_in()
    target = recorded_under(net, Semantics(dt=DT), data)
    candidates = space.product(
        {
            "integration": ("euler", "exact"),
            "input_gain": ("per_equation", "unit", "unit_current"),
            "current_order": ("decay_add_v", "add_v_decay", "v_decay_add"),
            "reset,reset_when": space.RESETS,
            "feedforward_lag": (0, 1),
            "v_min": (None, -0.2),
        },
        Candidate(Semantics(dt=DT)),
    )
    block = Block(prepare(net), "lif1", ["lif1"], data.inputs, target)
    found = block.distances(candidates, keep=len(candidates))
    some = np.random.default_rng(2).choice(len(candidates), 40, replace=False)
    for at in some:
        single = recorded_under(net, candidates[at].semantics, data)["lif1"]
        assert found[at] in (far(single, target["lif1"]), HOPELESS)
    assert found.min() == 0
    assert (found[some] < HOPELESS).any()


def test_a_population_that_nobody_recorded_is_stepped_with_the_next():
    net = chain(lif(8), lif(5))
    data = spikes_in()
    said = Semantics(dt=DT, reset="subtract")
    target = recorded_under(net, said, data)
    block = Block(prepare(net), "lif2", ["lif1", "lif2"], data.inputs, {"lif2": target["lif2"]})
    wrong = replace(said, reset="to_value")
    distances = block.distances([Candidate(said), Candidate(wrong)], keep=2)
    assert distances[0] == 0
    single = recorded_under(net, wrong, data)["lif2"]
    assert distances[1] in (far(single, target["lif2"]), HOPELESS)


def test_a_later_population_is_fed_with_the_recorded_spikes_of_the_earlier():
    net = chain(lif(8), lif(5))
    data = spikes_in()
    said = Semantics(dt=DT, nodes={"lif1": {"reset": "subtract"}})
    target = recorded_under(net, said, data)
    block = Block(prepare(net), "lif2", ["lif2"], data.inputs, target)
    assert block.distances([Candidate(Semantics(dt=DT))])[0] == 0  # whatever lif1 does


def test_some_neurons_of_a_population_are_stepped_as_among_all():
    net = chain(lif(8))
    data = spikes_in()
    target = recorded_under(net, Semantics(dt=DT), data)
    index = np.array([1, 4, 6])
    wrong = Semantics(dt=DT, integration="exact")
    single = recorded_under(net, wrong, data)["lif1"]
    block = Block(prepare(net), "lif1", ["lif1"], data.inputs, target, index)
    assert block.cells == 2 * 60 * 3
    assert block.distances([Candidate(Semantics(dt=DT))])[0] == 0
    assert block.distances([Candidate(wrong)])[0] == far(
        single[..., index], target["lif1"][..., index]
    )


def test_who_is_beaten_is_dropped_and_the_best_are_not():
    net = chain(lif(8))
    data = spikes_in()
    target = recorded_under(net, Semantics(dt=DT, integration="exact"), data)
    block = Block(prepare(net), "lif1", ["lif1"], data.inputs, target)
    candidates = space.product(
        {"integration": ("euler", "exact"), "reset,reset_when": space.RESETS},
        Candidate(Semantics(dt=DT)),
    )
    everything = block.distances(candidates, keep=len(candidates))
    bounded = block.distances(candidates, bound=0)
    assert (bounded[everything > 0] == HOPELESS).all()
    assert (bounded[everything == 0] == 0).all()
    assert 0 in everything


def test_euler_that_diverges_is_no_candidate():
    net = chain(lif(8, tau=1e-3))
    data = spikes_in()
    target = recorded_under(net, Semantics(dt=1e-4), data)
    block = Block(prepare(net), "lif1", ["lif1"], data.inputs, target)
    assert block.distances([Candidate(Semantics(dt=1.0))])[0] == HOPELESS


def test_silence_is_not_the_nearest_to_spikes_that_nothing_hits():
    net = chain(lif(8))
    data = spikes_in()
    target = recorded_under(net, Semantics(dt=DT), data)
    moved = {"lif1": shifted(target["lif1"], 1)}
    block = Block(prepare(net), "lif1", ["lif1"], data.inputs, moved)
    assert block.distances([Candidate(Semantics(dt=DT))])[0] < block.silence()


def test_moving_a_raster_fills_up_with_zeros():
    raster = np.arange(1, 5).reshape(1, 4, 1)
    assert shifted(raster, 1).ravel().tolist() == [0, 1, 2, 3]
    assert shifted(raster, -3).ravel().tolist() == [4, 0, 0, 0]
    assert shifted(raster, 0).ravel().tolist() == [1, 2, 3, 4]


# --- the space ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gain", "dt"),
    [
        (lambda tau: tau / 1e-4, [1e-4]),  # snnTorch
        (lambda tau: tau * np.exp(-2e-3 / tau) / 2e-3, [2e-3]),  # rockpool
        (lambda tau: 1.0, []),
        (lambda tau: 0.37 * tau, []),
    ],
)
def test_gains_imply_the_time_step_that_they_were_written_for(gain, dt):
    tau = np.array([0.02, 0.03, 0.05])
    node = replace(lif(3), tau=tau, r=gain(tau) * np.ones(3))
    assert space.implied_dts(prepare(chain(node))) == pytest.approx(dt, rel=1e-9)


def test_an_integrator_implies_the_step_in_which_it_adds_its_input():
    node = If(same(1e4, 3), same(1.0, 3), same(0.0, 3))
    assert space.implied_dts(prepare(chain(node))) == [1e-4]


def test_a_product_starts_with_presets():
    axes = space.first_axes(
        prepare(chain(cuba(3))), ["lif1"], [DT], frozenset(), 1, Semantics(dt=DT)
    )
    candidates = space.product(axes, Candidate(Semantics(dt=DT)))
    assert len(candidates) == np.prod([len(values) for values in axes.values()])
    assert space.strangeness(candidates[0]) == 0.5  # a preset and its dt
    steps = [space.strangeness(each) for each in candidates]
    assert steps == sorted(steps)


def test_what_does_not_matter_by_construction_is_no_axis():
    def axes(neuron):
        net = prepare(chain(neuron))
        return space.first_axes(net, ["lif1"], [DT], frozenset(), 1, Semantics(dt=DT))

    integrator = If(same(1, 3), same(1, 3), same(0, 3))
    assert "integration" not in axes(integrator)
    assert "current_order" not in axes(lif(3))
    assert "current_order" in axes(cuba(3))
    assert "recurrent_bias_at_start" not in axes(cuba(3))


def test_what_is_fixed_by_hand_is_not_searched():
    base = Semantics(dt=DT, reset="subtract", integration="exact")
    axes = space.first_axes(
        prepare(chain(lif(3))), ["lif1"], [DT], frozenset({"reset", "integration"}), 1, base
    )
    assert "integration" not in axes
    assert {reset for reset, _ in axes["reset,reset_when"]} == {"subtract"}


def test_an_option_of_a_tool_is_nearer_than_what_it_never_does():
    option = replace(PRESETS["snntorch"], reset="subtract")
    never = replace(PRESETS["snntorch"], current_order="v_decay_add")
    assert space.strangeness(Candidate(PRESETS["snntorch"])) == 0
    assert space.strangeness(Candidate(option)) == 1
    assert space.strangeness(Candidate(never)) == 2


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(1.0196, 1.0308, 1.02), (-0.2, 0.1, 0.0), (6.9, 7.3, 7.0), (0.0123, 0.0124, 0.0123)],
)
def test_the_roundest_number_between_two(low, high, wanted):
    found = space.roundest(low, high)
    assert low <= found <= high
    assert found == pytest.approx(wanted, abs=0.06)
    assert len(f"{found:.12g}") <= len(f"{wanted:.12g}") + 1


def test_a_refractory_period_is_shorter_than_the_least_gap_between_two_spikes():
    net, data = chain(lif(3)), spikes_in(steps=30)
    raster = np.zeros((2, 30, 3), int)
    raster[0, [2, 9, 13], 1] = 1  # 4 steps at the least
    raster[0, 14, 2] = raster[1, 0, 1] = 1  # of another neuron, and in another sample
    block = Block(prepare(net), "lif1", ["lif1"], data.inputs, {"lif1": raster})
    assert block.gap() == 4
    more = space.more_axes(block.net, ["lif1"], frozenset(), Semantics(dt=DT), {"dt": (DT,)}, 4)
    assert more["refractory"] == (0.0, 1.0, 2.0, 3.0)
    block = Block(prepare(net), "lif1", ["lif1"], data.inputs, {"lif1": raster * 0})
    assert block.gap() == 30


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (Semantics(dt=DT, refractory=5e-3), "refractory=0.005"),
        (Semantics(dt=DT, v_min=-0.3), "v_min=-0.3"),
        (Semantics(dt=2e-3), ""),
    ],
    ids=["refractory", "clamp", "dt"],
)
def test_a_state_that_no_list_holds_is_found_as_a_number_alone(said, wanted):
    net = chain(lif(24, tau=0.008, r=8.0), lif(8, tau=0.008, r=8.0), seed=7)
    data = spikes_in(steps=80)
    recorded = recorded_under(net, said, data)
    assert min(raster.sum() for raster in recorded.values()) > 20
    found = find(net, data.inputs, recorded)
    assert found.exact
    assert found.saying.semantics.dt == said.dt
    settings = dict(text.split("=") for text in found.saying.settings)
    name, _, value = wanted.partition("=")
    assert list(settings) == ([name] if name else [])
    assert not name or float(settings[name]) == pytest.approx(float(value), abs=0.05)


def test_a_start_near_a_listed_one_is_no_bent_gain():
    rng = np.random.default_rng(11)
    first, second = rng.normal(0.15, 0.5, (24, 15)), rng.normal(0.1, 0.5, (7, 24))
    nodes = {"input": Input((15,)), "fc1": Affine(first, rng.normal(0, 0.05, 24))}
    nodes |= {"lif1": lif(24, tau=0.008, r=8.0), "fc2": Linear(second)}
    nodes |= {"lif2": lif(7, tau=0.008, r=8.0), "output": Output((7,))}
    net = Network(nodes, tuple(itertools.pairwise(nodes)), name="chain")
    data = Data({"input": (rng.random((1, 80, 15)) < 0.3).astype(float)}, None, "current")
    recorded = recorded_under(net, Semantics(dt=DT, initial_v=0.4), data)
    found = find(net, data.inputs, recorded)
    assert found.exact
    assert found.saying.settings == ("initial_v=0.4",)


def test_a_lost_gain_is_found_beside_an_unknown_time_step():
    net, data = chain(lif(12), lif(8)), spikes_in(steps=80)
    kept = {name: replace(net.nodes[name], r=net.nodes[name].r * 1.7) for name in net.neurons}
    true = replace(net, nodes={**net.nodes, **kept})
    recorded = recorded_under(true, Semantics(dt=DT), data)
    found = find(net, data.inputs, recorded)
    assert found.exact
    assert found.saying.semantics.dt == DT
    assert found.saying.semantics.parameters["r"] == pytest.approx(17, rel=0.02)


# --- the words ---------------------------------------------------------------------------------


def test_a_saying_is_flags_that_a_shell_takes():
    saying = Saying("snntorch", 1e-3, ("lif1.reset=subtract",), 2, Semantics())
    assert saying.flags == (
        "--dialect", "snntorch", "--dt", "0.001", "--set", "lif1.reset=subtract", "--late", "2",
    )  # fmt: skip
    assert str(Saying("", None, (), 0, Semantics())) == ""


def test_the_fewest_settings_are_said():
    net, data = chain(lif(12), lif(8), lif(6)), spikes_in(steps=120)
    said = Semantics(dt=DT, reset="subtract", nodes={"lif2": {"reset": "to_value"}})
    found = find(
        net.with_semantics(Semantics(dt=DT)), data.inputs, recorded_under(net, said, data), ("dt",)
    )
    assert found.exact
    assert str(found.saying) == "--dialect nir --dt 0.001 --set lif2.reset=to_value " + (
        "--set reset=subtract"
    )


def test_what_was_said_of_a_node_is_said_again_where_it_does_harm_too():
    net, data = chain(lif(8), lif(6)), spikes_in()
    recorded = recorded_under(net, Semantics(dt=DT), data)
    given = Semantics(dt=DT, nodes={"lif1": {"reset": "subtract"}})
    found = find(net.with_semantics(given), data.inputs, recorded)
    assert not found.exact
    assert "lif1.reset=subtract" in found.saying.settings


def test_semantics_in_the_file_need_no_words():
    net, data = chain(lif(8)), spikes_in()
    said = Semantics(dt=DT, integration="exact", reset="subtract", dialect="file")
    found = find(net.with_semantics(said), data.inputs, recorded_under(net, said, data))
    assert found.exact
    assert found.saying.flags == ()


def test_a_field_that_does_not_matter_is_said_and_one_that_does_is_not():
    net, data = chain(lif(8)), spikes_in()
    said = Semantics(dt=DT)
    recorded = recorded_under(net, said, data)
    found = find(net.with_semantics(said), data.inputs, recorded, ("dt",))
    assert found.ties["input_gain"] == ("per_equation", "unit")  # r is tau / dt here
    for field, values in found.ties.items():
        for value in values:
            other = replace(said, **{field: value * DT if field == "refractory" else value})
            assert np.array_equal(recorded_under(net, other, data)["lif1"], recorded["lif1"])
    assert "integration" not in found.ties
    assert "reset" not in found.ties


def test_nothing_that_spikes_is_refused():
    net, data = chain(lif(8)), spikes_in()
    with pytest.raises(DataError, match="none of the recorded populations spikes"):
        find(net, data.inputs, {"fc1": np.zeros((2, 60, 8))})


def test_a_time_step_under_which_nothing_can_be_stepped_is_refused_with_advice():
    net, data = chain(lif(8, tau=1e-3)), spikes_in()
    recorded = {"lif1": np.zeros((2, 60, 8), int)}
    said = Semantics(dt=1.0, integration="euler")
    with pytest.raises(SemanticsError, match="no setting steps 'lif1'") as caught:
        find(net.with_semantics(said), data.inputs, recorded, ("dt", "integration", "tau_unit"))
    assert "--dt" in caught.value.fix
