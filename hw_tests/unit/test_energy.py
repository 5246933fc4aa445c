"""The energy ledger, counted by hand, and NeuroBench's metrics by their definitions."""

from __future__ import annotations

from dataclasses import fields, replace
from itertools import pairwise

import numpy as np
import pytest

import spikeport as sp
from spikeport import backends
from spikeport.compiler.errors import ChipError
from spikeport.compiler.measure.energy import column_of
from spikeport.compiler.measure.neurobench import neurobench
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import Cell, CellPopulation, Program, Synapses
from spikeport.costed import energy_of, energy_plain, static_of
from spikeport.verbs import run

LOIHI = backends.find_chip("loihi1")
DAVIES = {
    "soma_access": 52.0e-12, "soma_update": 29.0e-12, "synaptic_op": 23.6e-12,
    "packet": 1.7e-12, "hop_east_west": 3.0e-12, "hop_north_south": 4.0e-12,
    "state_reset": 5.94e-6,
}  # fmt: skip
SANAFE = {
    "soma_access": 51.2e-12, "soma_update": 21.6e-12, "spike_out": 69.3e-12,
    "synaptic_op": 35.5e-12, "synaptic_op_sparse": 33.6e-12, "packet": 111.0e-12,
    "packet_in": 0.0, "hop_east_west": 3.0e-12, "hop_north_south": 4.2e-12, "state_reset": 5.94e-6,
}  # fmt: skip


@pytest.fixture
def lonely(tmp_path):
    """loihi1 with one compartment in a core and one core in a tile: 8 x 5 tiles, y fastest."""
    text = (backends.CHIPS / "loihi1.yaml").read_text()
    text = text.replace("value: 1024\n    unit: compartments", "value: 1\n    unit: compartments")
    text = text.replace("value: 4\n    unit: cores", "value: 1\n    unit: cores")
    text = text.replace("value: 4\n    unit: tiles", "value: 5\n    unit: tiles")
    path = tmp_path / "lonely.yaml"
    path.write_text(text)
    chip = backends.find_chip(str(path))
    assert (chip.core.compartments.value, chip.cores) == (1, 40)
    return chip


def layer(size: int, threshold: int) -> CellPopulation:
    """Neurons without memory: v is this step's input, and a spike when it is above threshold."""
    held = {field.name: 0 for field in fields(Cell) if field.type == "Array"}
    held |= {"decay_u": 4095, "decay_v": 4096, "v_threshold": threshold, "refractory_steps": 1}
    cell = Cell(**{name: np.full(size, value, np.int32) for name, value in held.items()})
    return CellPopulation("LIF", (size,), cell, np.ones(size))


def six_neurons() -> Program:
    """One input, five neurons `a` of which the last hears nothing, one `b` that hears all of `a`.

    Every input spike makes a[0:4] spike in the next step; four spikes make b spike.
    """
    first = np.array([[10], [10], [10], [10], [0]], np.int32)
    second = np.array([[10, 10, 10, 10, 10]], np.int32)
    populations = {
        "in": CellPopulation("input", (1,), None, np.ones(1)),
        "a": layer(5, 5),
        "b": layer(1, 35),
    }
    synapses = (
        Synapses.of("in-a", "in", "a", first, 0, "mixed"),
        Synapses.of("a-b", "a", "b", second, 0, "mixed"),
    )
    return Program(1e-3, populations, synapses, {"out": "b"}, {"in": 0, "a": 1, "b": 2})


#: Two samples of four steps: three input spikes in the first, one in the second. 4 + 2 steps.
X = np.array([[1, 1, 0, 1], [0, 1, 0, 0]], np.uint8)[:, :, None]


def in_order(image):
    """Return a placed image with a[0], a[1], ... and b on the cores 0, 1, ...

    The mapper is free to put them elsewhere; hops are counted by hand, so they are put by hand.
    """
    parts = sorted(image.slices, key=lambda part: (part.population, part.neurons[0]))
    number = {core: n for n, core in enumerate(dict.fromkeys(part.core for part in parts))}

    def moved(cores):
        return np.array([number.get(core, core) for core in cores.tolist()])

    uses = []
    for use in sorted(image.cores, key=lambda use: number[use.core]):
        x, y = image.chip.tile(number[use.core])
        uses.append(replace(use, core=number[use.core], tile_x=x, tile_y=y))
    routes = tuple(
        replace(r, target_core=number[r.target_core], source_cores=moved(r.source_cores))
        for r in image.routes
    )
    slices = tuple(replace(part, core=number[part.core]) for part in parts)
    return replace(image, slices=slices, routes=routes, cores=tuple(uses))


def costed(chip, column, pieces=None):
    image = in_order(verify(place(six_neurons(), chip)))
    return sp.cost(image, run(image, X), column=column, pieces=pieces)


def events(cost):
    """Return (population, kind) -> events per sample."""
    sums = {}
    for entry in cost.ledger:
        key = (entry.population, entry.kind)
        sums[key] = sums.get(key, 0.0) + entry.events_per_sample
    return sums


def test_every_event_is_counted(lonely):
    """Per sample 2 input spikes, so 8 spikes of a and 2 of b.

    a is on the tiles (0,0) (0,1) (0,2) (0,3) (0,4), b on (1,0): a[0] to b is 1 hop east-west and
    none north-south, a[1] 1 and 1, a[2] 1 and 2, a[3] 1 and 3; a[4] never spikes.
    A soma is updated when something arrives and once more when that current is forgotten: a in
    steps 1 to 5 of the first sample and 2 and 3 of the second, b in 2 to 5, and in 3 and 4.
    """
    image = in_order(place(six_neurons(), lonely))
    assert [(use.tile_x, use.tile_y) for use in image.cores] == [
        (0, 0), (0, 1), (0, 2), (0, 3), (0, 4), (1, 0),
    ]  # fmt: skip
    assert events(costed(lonely, "davies2018")) == {
        ("a", "soma_access"): 5 * 6,
        ("b", "soma_access"): 1 * 6,
        ("a", "soma_update"): 4 * (5 + 2) / 2,
        ("b", "soma_update"): (4 + 2) / 2,
        ("in", "synaptic_op"): 2 * 4,
        ("a", "synaptic_op"): 8,
        ("in", "packet"): 2 * 4,
        ("a", "packet"): 8,
        ("a", "hop_east_west"): 2 * (1 + 1 + 1 + 1),
        ("a", "hop_north_south"): 2 * (0 + 1 + 2 + 3),
        ("(chip)", "state_reset"): 1,
    }


def test_the_joules_are_counts_times_the_figures_of_the_column(lonely):
    by_hand = {
        "soma_access": 36, "soma_update": 17, "synaptic_op": 16, "packet": 16,
        "hop_east_west": 8, "hop_north_south": 12, "state_reset": 1,
    }  # fmt: skip
    cost = costed(lonely, "davies2018")
    assert cost.by("kind") == pytest.approx({k: n * DAVIES[k] for k, n in by_hand.items()})
    assert cost.joules_per_sample == pytest.approx(
        sum(n * DAVIES[kind] for kind, n in by_hand.items())
    )
    cost = costed(lonely, "sanafe")
    by_hand |= {"spike_out": 10, "packet_in": 16}
    assert cost.by("kind") == pytest.approx({k: n * SANAFE[k] for k, n in by_hand.items()})


def scattered():
    """One input with a synapse on every tenth of 200 neurons, and one with a synapse on each."""
    tenth = np.zeros((200, 1), np.int32)
    tenth[::10] = 10
    each = np.full((200, 1), 10, np.int32)
    populations = {
        "few": CellPopulation("input", (1,), None, np.ones(1)),
        "all": CellPopulation("input", (1,), None, np.ones(1)),
        "n": layer(200, 100),
    }
    synapses = (
        Synapses.of("few-n", "few", "n", tenth, 0, "mixed"),
        Synapses.of("all-n", "all", "n", each, 0, "mixed"),
    )
    return Program(1e-3, populations, synapses, {"out": "n"}, {"few": 0, "all": 0, "n": 1})


def test_lists_with_indices_cost_the_sparse_figure_where_the_column_has_one():
    """20 of 200 targets take 20 * (8 + 8) + 10 bits with indices, 200 * 8 + 40 without."""
    image = verify(place(scattered(), LOIHI))
    traces = run(image, {"x.few": X, "x.all": X})
    fitted, simulated = (events(sp.cost(image, traces, column=c)) for c in ("sanafe", "davies2018"))
    assert fitted["few", "synaptic_op_sparse"] == 2 * 20
    assert fitted["all", "synaptic_op"] == 2 * 200
    assert ("few", "synaptic_op") not in fitted
    assert simulated["few", "synaptic_op"] == 2 * 20


def test_within_a_core_nothing_hops():
    kinds = costed(LOIHI, "davies2018").by("kind")
    assert not {"hop_east_west", "hop_north_south"} & kinds.keys()
    assert kinds["packet"] == pytest.approx((2 + 8) * 1.7e-12)


@pytest.mark.parametrize("column", ["davies2018", "sanafe"])
def test_sums_by_kind_population_and_core_agree(lonely, column):
    cost = costed(lonely, column)
    for key in ("kind", "population", "core"):
        assert sum(cost.by(key).values()) == pytest.approx(cost.joules_per_sample, rel=1e-12)
    assert set(cost.by("population")) == {"in", "a", "b", "(chip)"}
    assert {-1, 0, 1, 2, 3, 4, 5} == set(cost.by("core"))


@pytest.mark.parametrize(("column", "share"), [("davies2018", 0.2), ("sanafe", 0.12)])
def test_the_interval_is_the_columns_uncertainty(column, share):
    cost = costed(LOIHI, column)
    low, high = cost.interval
    assert low == pytest.approx(cost.joules_per_sample * (1 - share))
    assert high == pytest.approx(cost.joules_per_sample * (1 + share))


def test_a_stream_of_three_samples_costs_each_a_third_and_is_never_reset():
    once, thrice = costed(LOIHI, "davies2018"), costed(LOIHI, "davies2018", pieces=3)
    assert "state_reset" not in thrice.by("kind")
    spent = once.joules_per_sample - 5.94e-6
    assert thrice.joules_per_sample == pytest.approx(spent / 3)
    assert thrice.samples == 3 * once.samples


def test_the_default_column_is_the_chips_and_an_unknown_one_is_named():
    assert column_of(LOIHI, None) == costed(LOIHI, None).column == "davies2018"
    with pytest.raises(ChipError) as caught:
        costed(LOIHI, "guess")
    assert str(caught.value) == (
        "loihi1 has no cost column 'guess': it has davies2018, sanafe\n  fix: --cost davies2018"
    )


def test_the_summary_names_its_sources():
    summary = costed(LOIHI, "davies2018").summary()
    assert "Davies et al." in summary["source"]
    assert "Frady et al." in summary["uncertainty_source"]
    assert summary["by_kind"].keys() <= DAVIES.keys()


def with_figure(chip, column, kind, **changed):
    """Return a chip with one figure of one cost column changed."""
    held = chip.costs[column]
    figure = held.figures[kind].model_copy(update=changed)
    other = held.model_copy(update={"figures": {**held.figures, kind: figure}})
    return chip.model_copy(update={"costs": {**chip.costs, column: other}})


def test_an_unverified_figure_is_listed_and_in_no_sum():
    doubted = with_figure(LOIHI, "davies2018", "synaptic_op", basis="unverified")
    whole, found = costed(LOIHI, "davies2018"), costed(doubted, "davies2018")
    assert events(found) == events(whole), "the ledger has every event"
    lost = whole.by("kind")["synaptic_op"]
    assert lost > 0
    assert found.joules_per_sample == pytest.approx(whole.joules_per_sample - lost)
    assert found.interval[1] == pytest.approx((whole.joules_per_sample - lost) * 1.2)
    for key in ("kind", "population", "core"):
        assert sum(found.by(key).values()) == pytest.approx(found.joules_per_sample)
    assert "synaptic_op" not in found.by("kind")
    assert (found.left_out, whole.left_out) == (["synaptic_op"], [])
    plain = energy_plain({"davies2018": found}, found)
    assert plain["known"]
    (line, *_) = [each for each in plain["ledger"] if each["kind"] == "synaptic_op"]
    assert line["basis"] == "unverified"
    assert line["joules_per_sample"] > 0


def test_a_column_of_unverified_figures_alone_is_no_energy():
    chip = LOIHI
    for kind in LOIHI.costs["davies2018"].figures:
        chip = with_figure(chip, "davies2018", kind, basis="unverified")
    found = costed(chip, "davies2018")
    plain = energy_plain({"davies2018": found}, found)
    assert (plain["known"], plain["joules_per_sample"], plain["interval"]) == (False, None, None)
    assert plain["why"].startswith("no figure of the column davies2018 has a source")
    assert plain["ledger"]


def test_a_chip_without_costs_says_so_wherever_it_is_asked():
    free = LOIHI.model_copy(update={"costs": {}, "default_cost": "", "static_power": None})
    with pytest.raises(ChipError, match="no energy per event has been published"):
        column_of(free, None)
    assert energy_of(free, {}, "") == {
        "known": False,
        "why": "no energy per event has been published for loihi1",
        "static": "Dynamic energy only; static power is not known.",
    }


def test_static_power_says_that_it_is_unverified():
    power = LOIHI.static_power.model_copy(update={"basis": "unverified"})
    said = static_of(LOIHI.model_copy(update={"static_power": power}))
    assert "Static power is in no sum, its figure is unverified: 0.1044 W per chip" in said
    assert "unverified" not in static_of(LOIHI)


def test_on_a_processor_every_weight_and_every_neuron_costs_in_every_step():
    """6 neurons and 4 + 5 weights that are not zero, 4 + 2 steps, whoever spikes."""
    cpu = backends.find_chip("cpu_i7_4960x")
    image = place(six_neurons(), cpu)
    for x in (X, np.zeros_like(X)):
        counts = events(sp.cost(image, run(image, x), column="degnan2016", pieces=1))
        assert counts == {
            ("a", "soma_access"): 5 * 6,
            ("b", "soma_access"): 1 * 6,
            ("in", "dense_synaptic_op"): 4 * 6,
            ("a", "dense_synaptic_op"): 5 * 6,
        }


def test_placement_changes_hops_and_no_other_event(lonely):
    far, near = events(costed(lonely, "davies2018")), events(costed(LOIHI, "davies2018"))
    for (population, kind), count in near.items():
        if kind not in ("packet", "soma_access"):
            assert far[population, kind] == count


def test_neurobench_metrics_by_hand(lonely):
    """There are 1 x 5 and 5 x 1 places for synapses; one of the first is empty.

    Accumulates: 2 input spikes x 4 synapses + 8 spikes x 1. Dense: 10 places x 4 steps.
    """
    image = place(six_neurons(), lonely)
    found = neurobench(image, run(image, X))
    assert found["ConnectionSparsity"] == pytest.approx(1 / 10)
    assert found["ActivationSparsity"] == pytest.approx(1 - 10 / (6 * 4))
    assert found["SynapticOperations"] == {
        "Effective_MACs": 0.0,
        "Effective_ACs": 16.0,
        "Dense": 40.0,
    }
    # a[0:4]: one list of one synapse each, one word; b: five lists of one word
    assert found["Footprint"] == (4 + 5) * 8


def test_real_valued_inputs_are_multiplied():
    from spikeport.compiler.network import Input, Linear, Network, Output
    from spikeport.models.neurons.lif import Lif

    flat = np.ones(3)
    nodes = {
        "input": Input((2,)),
        "fc": Linear(np.array([[1.0, 2.0], [3.0, 0.0], [1.0, 1.0]])),
        "lif": Lif(flat * 1e-2, flat * 10, flat * 0, flat, flat * 0),
        "output": Output((3,)),
    }
    net = Network(nodes, tuple(pairwise(nodes)), name="pixels")
    net = net.with_semantics(sp.Semantics(dt=1e-3, dialect="nir"))
    still = np.tile(np.array([0.5, 0.7]), (4, 10, 1))
    moving = still * np.linspace(0, 1, 10)[None, :, None]
    for x, steps in ((still, 1), (moving, 10)):
        image = sp.compile(net, calibration=x, kind="current")
        found = neurobench(image, run(image, x))["SynapticOperations"]
        assert found == {"Effective_MACs": 5 * steps, "Effective_ACs": 0.0, "Dense": 6 * 10}
