"""`--dialect auto` finds what every recording was made under, and says when nothing does.

Recordings of other tools come from the shared cases; others are made here, by the reference under
semantics drawn at random, and must be found again.
"""

from __future__ import annotations

import itertools
import json
import re
import shlex
from dataclasses import replace

import numpy as np
import pytest
from typer.testing import CliRunner

import spikeport as sp
from spikeport.cli.app import app
from spikeport.compiler.errors import DataError
from spikeport.compiler.network import Affine, Input, Network, Output
from spikeport.compiler.semantics import Semantics
from spikeport.data import Data
from spikeport.dialect import find_dialect
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif

#: Every exporter case, what auto says, and tools that it must name as possible.
CASES = {
    "norse_ff_lifbox": ("--dialect norse --dt 0.001", ()),
    "norse_ff_lifbox_scalar_wide": ("--dialect norse --dt 0.001", ()),
    "norse_ff_lifcell_cuba": ("--dialect norse --dt 0.001", ()),
    "rockpool_ff_cuba": ("--dialect rockpool --dt 0.001", ()),
    "rockpool_ff_lif": ("--dialect sinabs --dt 0.001", ("rockpool",)),
    "sinabs_conv_iaf_multispike": ("--dialect sinabs --dt 1", ("rockpool",)),
    "sinabs_conv_iaf_single_reset": ("--dialect nir --dt 1", ("sinabs",)),
    "sinabs_ff_lif_nonorm": ("--dialect sinabs --dt 1 --set reset=to_value --set spike=binary", ()),
    "sinabs_ff_lif_norm": ("--dialect nir --dt 1 --set integration=exact", ("sinabs",)),
    "snntorch_conv_lif_zero": ("--dialect snntorch", ()),
    "snntorch_ff_cuba_zero": ("--dialect snntorch", ()),
    "snntorch_ff_lif_subtract": ("--dialect snntorch --set reset=subtract_snntorch", ()),
    "snntorch_ff_lif_subtract_delay": (
        "--dialect snntorch --set reset=subtract --set reset_when=next_step", (),
    ),
    "snntorch_ff_lif_zero": ("--dialect snntorch", ("nir", "spikingjelly")),
    "snntorch_ff_lif_zero_hetero": ("--dialect snntorch", ()),
    "snntorch_rec_rleaky_zero": ("--dialect snntorch", ()),
    "snntorch_rec_rsynaptic_zero": (
        "--dialect snntorch --set lif1.lif.reset_when=next_step", (),
    ),
    "spikingjelly_conv_if": ("--dialect snntorch", ("spikingjelly",)),
    "spikingjelly_ff_lif": ("--dialect snntorch", ("spikingjelly",)),
    "spikingjelly_ff_lif_nodecay": ("--dialect snntorch", ("spikingjelly",)),
    "trained_sinabs_mnist_multi": ("--dialect sinabs --dt 1", ()),
    "trained_sinabs_mnist_singlezero": ("--dialect nir --dt 1", ("sinabs",)),
    "trained_snntorch_digits_lif": ("--dialect snntorch", ()),
}  # fmt: skip

STEPS, SIZES = 120, (10, 16, 8)


def compared(*arguments):
    """Run `compare` and return its exit code and what it printed as JSON."""
    result = CliRunner().invoke(app, ["compare", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout)


def files(folder, x="input.npz", expect="expected.npz"):
    return [folder / "graph.nir", "--input", folder / x, "--expect", folder / expect]


def different(found):
    return {name: node["different"] for name, node in found["nodes"].items()}


@pytest.mark.parametrize("name", CASES)
def test_auto_reproduces_every_cell_of_an_exporter_case(cases, name):
    flags, possible = CASES[name]
    code, found = compared(*files(cases / name), "--dialect", "auto")
    assert code == 0
    assert set(different(found).values()) == {0}
    assert found["not_compared"] == []
    assert " ".join(found["auto"]["flags"]) == flags
    said = [other.split()[1] for other in found["auto"]["other_tools"]]
    assert set(possible) <= set(said)


@pytest.mark.parametrize("name", ["snntorch_rec_rsynaptic_zero", "sinabs_ff_lif_nonorm"])
def test_the_command_that_auto_prints_gives_the_same_counts(cases, name):
    _, found = compared(*files(cases / name), "--dialect", "auto")
    verb, *arguments = shlex.split(found["auto"]["command"])[1:]
    assert verb == "compare"
    code, again = compared(*arguments)
    assert (code, different(again)) == (0, different(found))
    assert again["semantics"] == found["semantics"]


def test_a_tie_reproduces_as_well_and_another_value_does_not(cases):
    folder = cases / "snntorch_ff_lif_subtract"
    _, found = compared(*files(folder), "--dialect", "auto")
    assert found["auto"]["ties"]["threshold"] == ["greater", "greater_equal"]
    assert "integration" not in found["auto"]["ties"]
    flags = found["auto"]["flags"]
    assert compared(*files(folder), *flags, "--set", "threshold=greater_equal")[0] == 0
    assert compared(*files(folder), *flags, "--set", "integration=exact")[0] == 1


def test_a_state_that_the_file_does_not_carry_is_named(cases):
    code, found = compared(
        *files(cases / "nirpaper_cnn_sinabs"), "--prefix", "sinabs_from_nir_minv.",
        "--dialect", "auto",
    )  # fmt: skip
    assert code == 0
    assert found["auto"]["flags"] == ["--dialect", "sinabs", "--dt", "1", "--set", "v_min=-1"]
    assert found["auto"]["supplied"] == [
        "a clamp of v from below, which the file does not carry: --set v_min=-1"
    ]
    assert sum(node["cells"] for node in found["nodes"].values()) == 538_200


#: Platforms of the paper's first task by the raster that they gave, and a setting that gives it.
PLATFORMS = {
    ("exact", "nengo", "norse", "snntorch", "spinnaker2"): "--dialect snntorch",
    ("lava_cpu_fixed", "lava_cpu_float", "lava_loihi_fixed", "spyx"): "--dialect lava --dt 0.0001",
    # An exponential decay beside an input that is scaled for Euler: 2 % more than the file says.
    ("rockpool", "sinabs"): "--dialect snntorch --set r=",
}


@pytest.mark.parametrize("platforms", PLATFORMS, ids=lambda names: names[-1])
def test_each_platform_of_the_papers_first_task_has_a_setting(cases, platforms):
    folder = cases / "nirpaper_lif"
    recorded = np.load(folder / "expected.npz")
    assert all(
        np.array_equal(recorded[f"{name}_z"], recorded[f"{platforms[0]}_z"]) for name in platforms
    )
    code, found = compared(*files(folder), "--map", f"1={platforms[-1]}_z", "--dialect", "auto")
    assert code == 0
    flags = " ".join(found["auto"]["flags"])
    assert flags.startswith(PLATFORMS[platforms])
    if "r=" in flags:
        assert float(flags.partition("r=")[2]) == pytest.approx(1.02, abs=0.02)


def test_published_rasters_of_the_braille_network_are_told_apart(cases):
    code, found = compared(
        *files(cases / "nirpaper_braille_zero", "inferred_sample0.npz", "published_lif1.npz"),
        "--recordings", "lif1.lif", "--dialect", "auto", "--dt", "1e-4",
    )  # fmt: skip
    rows = found["recordings"]
    assert list(rows) == ["nengo", "spyx", "snntorch", "norse", "s2", "lava"]
    assert [key for key, row in rows.items() if row["transposed"]] == ["lava"]
    assert [key for key, row in rows.items() if row["different"] == 0] == ["snntorch"]
    assert " ".join(rows["spyx"]["auto"]["flags"]) == (
        "--dialect spyx --dt 0.0001 --set reset_when=same_step"  # as its RCuBaLIF is written
    )
    assert all(row["different"] < 2 * row["spikes_expected"] for row in rows.values())
    assert found["input_from"] == "snntorch"
    assert "only snntorch's 0 is expected" in found["note"]
    assert code == 0  # what is expected to agree does


def test_a_recording_that_nothing_reproduces_is_said_to_be_so(cases, tmp_path):
    folder = cases / "snntorch_ff_lif_zero"
    spikes = dict(np.load(folder / "expected.npz"))
    rng = np.random.default_rng(5)
    np.savez(tmp_path / "noisy.npz", **{"1": rng.permutation(spikes["1"], axis=0)})
    arguments = [*files(folder)[:3], "--expect", tmp_path / "noisy.npz"]
    result = CliRunner().invoke(
        app, ["compare", *map(str, arguments), "--dialect", "auto", "--dt", "1e-4"]
    )
    assert result.exit_code == 1
    assert re.match(r"none of \d+ settings reproduces the recording; the nearest,", result.stdout)
    assert "does not matter" not in result.stdout
    assert "first: neuron" in result.stdout
    assert "not compared (no array): 3" in result.stdout
    again = shlex.split(re.search(r"again: spikeport (.*)", result.stdout)[1])
    share = float(re.search(r"agrees in ([\d.]+)% of 3200", result.stdout)[1])
    code, found = compared(*again[1:])
    assert code == 1
    assert found["nodes"]["1"]["different"] == pytest.approx(3200 * (1 - share / 100), abs=0.5)


def test_a_recording_without_a_spike_identifies_no_tool(cases, tmp_path):
    folder = cases / "snntorch_ff_lif_zero"
    spikes = dict(np.load(folder / "expected.npz"))
    arguments = [*files(folder)[:3], "--expect", tmp_path / "r.npz", "--dialect", "auto"]
    np.savez(tmp_path / "r.npz", **{name: spikes[name] * 0 for name in ("1", "3")})
    result = CliRunner().invoke(app, ["compare", *map(str, arguments)])
    assert result.stdout.startswith("nothing is told: the recording has no spike")
    assert "found:" not in result.stdout
    code, found = compared(*arguments)
    assert (code, found["auto"]["silent"]) == (0, ["1", "3"])
    np.savez(tmp_path / "r.npz", **{"1": spikes["1"]})
    assert compared(*arguments)[1]["auto"]["silent"] == []


def test_a_recording_that_lies_across_is_refused_with_auto_as_without(cases, tmp_path):
    folder = cases / "snntorch_ff_lif_zero"
    spikes = np.load(folder / "expected.npz")["1"]
    np.savez(tmp_path / "r.npz", **{"1": np.swapaxes(spikes, -1, -2)})
    for dialect in ("auto", "snntorch"):
        arguments = [*files(folder)[:3], "--expect", tmp_path / "r.npz", "--dialect", dialect]
        result = CliRunner().invoke(app, ["compare", *map(str, arguments), "--dt", "1e-4"])
        assert isinstance(result.exception, DataError)  # exit code 2 of the program
        assert "swap its last two axes" in result.exception.fix


def test_what_is_said_by_hand_is_kept_and_not_searched(cases):
    folder = cases / "snntorch_ff_lif_zero"
    code, found = compared(*files(folder), "--dialect", "auto", "--set", "1.reset=subtract")
    assert code == 1
    assert found["semantics"]["nodes"]["1"]["reset"] == "subtract"
    assert "1.reset=subtract" in found["auto"]["flags"]
    code, found = compared(*files(folder), "--dialect", "auto", "--set", "threshold=greater_equal")
    assert code == 0
    assert found["semantics"]["threshold"] == "greater_equal"
    assert "threshold" not in found["auto"]["ties"]


def test_a_lost_gain_is_found_as_a_number_or_taken_when_given():
    rng = np.random.default_rng(11)
    net = drawn_network(rng, "LIF", recurrent=False)
    lost = replace(net.nodes["lif1"], r=np.full(SIZES[1], 1.0))
    kept = replace(net.nodes["lif1"], r=np.full(SIZES[1], 7.0))
    lost2, kept2 = (replace(net.nodes["lif2"], r=np.full(SIZES[2], r)) for r in (1.0, 7.0))
    said = Semantics(dt=1e-3, reset="subtract", dialect="drawn")
    true = replace(net, nodes={**net.nodes, "lif1": kept, "lif2": kept2}, semantics=said)
    file = replace(net, nodes={**net.nodes, "lif1": lost, "lif2": lost2})
    x = (rng.random((1, STEPS, SIZES[0])) < 0.2).astype(float)
    data = Data({"input": x}, None, "current")
    traces = sp.run(true, data)
    recorded = {name: traces.window(name) for name in ("lif1", "lif2")}
    assert min(raster.sum() for raster in recorded.values()) > 20
    answer = find_dialect(file.with_semantics(Semantics(dt=1e-3)), data, recorded, ("dt",))
    assert answer.different == 0
    gains = [float(f.partition("=")[2]) for f in answer.flags if f.startswith("r=")]
    assert gains == [pytest.approx(7.0, rel=0.05)]
    (sentence,) = (each for each in answer.lost if "the gain of the input" in each)
    assert "differs from the file's" in sentence
    assert "does not carry" not in sentence


def spyx_spikes(net, x, dt):
    """Spyx's LIF layers in its own words: a spike is read off the last v, then taken off."""
    layers = [(net.nodes[f"fc{k}"], net.nodes[f"lif{k}"]) for k in (1, 2)]
    v = [np.zeros(node.tau.size) for _, node in layers]
    sent = [[], []]
    for arriving in x:
        for k, (fc, node) in enumerate(layers):
            spikes = (v[k] > node.v_threshold).astype(float)
            drive = fc.weight @ arriving + fc.bias
            v[k] = (1 - dt / node.tau) * v[k] + drive - spikes * node.v_threshold
            sent[k].append(spikes)
            arriving = spikes
    return {f"lif{k}": np.array(sent[k - 1], int)[None] for k in (1, 2)}


def test_spyx_layers_with_biases_are_recognised_as_spyx():
    rng = np.random.default_rng(8)
    net = drawn_network(rng, "LIF", recurrent=False)
    x = (rng.random((1, STEPS, SIZES[0])) < 0.2).astype(float)
    recorded = spyx_spikes(net, x[0], 1e-3)
    assert min(raster.sum() for raster in recorded.values()) > 20
    flat = {
        name: replace(node, v_leak=node.r * 0, v_reset=node.r * 0) if name in recorded else node
        for name, node in net.nodes.items()
    }
    answer = find_dialect(replace(net, nodes=flat), Data({"input": x}, None, "current"), recorded)
    assert answer.different == 0
    assert answer.flags == ("--dialect", "spyx", "--dt", "0.001")


def test_spikes_of_the_output_alone_are_enough():
    net, data, _, recorded = drawn(4)
    answer = find_dialect(net, data, {"lif2": recorded["lif2"]})
    assert answer.different == 0


def test_a_recording_that_starts_late_is_found_late():
    net, data, _, recorded = drawn(1)
    later = {name: np.roll(raster, 2, axis=1) for name, raster in recorded.items()}
    for raster in later.values():
        raster[:, :2] = 0
    answer = find_dialect(net, data, later)
    assert answer.different == 0
    assert answer.found.exact  # each population alone as well
    assert answer.found.saying.late > 0
    assert answer.flags[-2:] == ("--late", str(answer.found.saying.late))


def drawn_network(rng, kind, recurrent):
    """Two layers, or one layer with a loop and a second layer."""
    count, hidden, out = SIZES
    nodes = {"input": Input((count,)), "fc1": layer(rng, hidden, count, 1.0)}
    nodes["lif1"] = neuron(rng, kind, hidden)
    nodes["fc2"] = layer(rng, out, hidden, 1.0)
    nodes["lif2"] = neuron(rng, kind, out)
    nodes["output"] = Output((out,))
    names = ["input", "fc1", "lif1", "fc2", "lif2", "output"]
    edges = list(itertools.pairwise(names))
    if recurrent:
        nodes["rec"] = layer(rng, hidden, hidden, 0.3)
        edges += [("lif1", "rec"), ("rec", "lif1")]
    return Network(nodes, tuple(edges), name="drawn")


def layer(rng, post, pre, scale):
    return Affine(rng.normal(0.3, 1.0, (post, pre)) * scale, rng.normal(0.1, 0.2, post) * scale)


def neuron(rng, kind, size):
    def same(value):
        return np.full(size, float(value))

    theta = rng.choice([0.8, 1.0, 1.5])
    tau = rng.uniform(4e-3, 3e-2, size) if rng.random() < 0.5 else same(rng.uniform(4e-3, 3e-2))
    reset = float(rng.choice([0.0, 0.0, -0.3]))
    leak = float(rng.choice([0.0, 0.0, 0.2]))
    if kind == "IF":
        return If(same(1.0), same(theta), same(reset))
    if kind == "LIF":
        return Lif(tau, tau / 1e-3, same(leak), same(theta), same(reset))
    syn = same(rng.uniform(3e-3, 1e-2))
    gain = syn / 1e-3 if rng.random() < 0.5 else same(1.0)
    return CubaLif(tau, syn, tau / 1e-3, same(leak), same(theta), same(reset), gain)


def drawn_semantics(rng, kind, recurrent, theta):
    """Options that tools combine; dt 1e-3, which the gains of the networks fit."""
    reset, when = [
        ("to_value", "same_step"), ("to_value", "next_step"), ("subtract", "same_step"),
        ("subtract", "next_step"), ("subtract_snntorch", "same_step"),
    ][rng.integers(5)]  # fmt: skip
    exact = {"integration": "exact", "input_gain": "unit"} if rng.random() < 0.4 else {}
    if kind == "IF":
        exact = {"input_gain": "unit"}
    if kind == "CubaLIF" and not exact and rng.random() < 0.4:
        exact = {"input_gain": "unit_current"}
    order = ["decay_add_v", "add_v_decay", "v_decay_add", "add_decay_v"][rng.integers(4)]
    return Semantics(
        dt=1e-3, **exact,
        current_order=order if kind == "CubaLIF" else "decay_add_v",
        reset=reset, reset_when=when,
        spike="count" if rng.random() < 0.3 and not recurrent else "binary",
        threshold="greater_equal" if rng.random() < 0.3 else "greater",
        feedforward_lag=int(rng.random() < 0.25),
        recurrent_bias_at_start=not (recurrent and rng.random() < 0.2),
        **[{}, {}, {}, {"v_min": 0.0}, {"v_min": -theta}, {"refractory": 2e-3},
           {"initial_v": theta / 2}][rng.integers(7)],
        dialect="drawn",
    )  # fmt: skip


def drawn(seed):
    """Return network, inputs, semantics and what was recorded under them."""
    rng = np.random.default_rng(seed)
    kind = ("IF", "LIF", "CubaLIF")[seed % 3]
    recurrent = bool(rng.random() < 0.3)
    net = drawn_network(rng, kind, recurrent)
    said = drawn_semantics(rng, kind, recurrent, float(net.nodes["lif1"].v_threshold[0]))
    if rng.random() < 0.2:  # a layer with options of its own
        said = replace(said, nodes={"lif2": {"reset": "to_value", "reset_when": "same_step"}})
    x = (rng.random((1, STEPS, SIZES[0])) < 0.12).astype(float)
    data = Data({"input": x}, None, "current")
    traces = sp.run(net.with_semantics(said), data)
    return net, data, said, {name: traces.window(name) for name in ("lif1", "lif2")}


@pytest.mark.parametrize("seed", range(20))
def test_what_was_recorded_under_drawn_semantics_is_found_again(seed):
    net, data, said, recorded = drawn(seed)
    assert min(raster.sum() for raster in recorded.values()) > 0, (
        "an empty recording proves nothing"
    )
    answer = find_dialect(net, data, recorded)
    assert answer.different == 0, f"{answer.flags} for {said}"
