"""The reference reproduces what other tools recorded, cell by cell, under their dialects."""

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import spikeport as sp
from spikeport.cli.app import app

BINARY = ("reset=to_value", "spike=binary")
ISSUE = {
    "nirpaper_lif": ("nir", 1e-4, (), ("--map", "1=norse_z")),
    "nirpaper_braille_zero": (
        "nir", 1e-4, (), ("--map", "lif1.lif=spec.lif1", "--map", "lif2=spec.lif2"),
    ),
    "nirpaper_cnn_sinabs": ("nir", 1, (), ("--prefix", "single_zero_gt.")),
    "snntorch_ff_lif_zero": ("snntorch", 1e-4, (), ()),
    "snntorch_ff_cuba_zero": ("snntorch", 1e-4, (), ()),
    "snntorch_rec_rleaky_zero": ("snntorch", 1e-4, (), ()),
    "spikingjelly_ff_lif": ("spikingjelly", 1e-4, (), ()),
    "sinabs_conv_iaf_single_reset": ("sinabs", 1, BINARY, ()),
    "norse_ff_lifbox": ("norse", 1e-3, (), ()),
}  # fmt: skip
MORE = {
    "snntorch_ff_lif_zero_hetero": ("snntorch", 1e-4, (), ()),
    "snntorch_ff_lif_subtract": ("snntorch", 1e-4, ("reset=subtract_snntorch",), ()),
    "snntorch_conv_lif_zero": ("snntorch", 1e-4, (), ()),
    "spikingjelly_conv_if": ("spikingjelly", 1e-4, (), ()),
    "snntorch_ff_lif_subtract_delay": (
        "snntorch", 1e-4, ("reset=subtract", "reset_when=next_step"), (),
    ),
    "snntorch_rec_rsynaptic_zero": ("snntorch", 1e-4, ("lif1.lif.reset_when=next_step",), ()),
    "spikingjelly_ff_lif_nodecay": ("spikingjelly", 1e-4, (), ()),
    "sinabs_conv_iaf_multispike": ("sinabs", 1, (), ()),
    "sinabs_ff_lif_norm": ("sinabs", 1, (*BINARY, "input_gain=per_equation"), ()),
    "sinabs_ff_lif_nonorm": ("sinabs", 1, BINARY, ()),
    "norse_ff_lifbox_scalar_wide": ("norse", 1e-3, (), ()),
    "norse_ff_lifcell_cuba": ("norse", 1e-3, (), ()),
    "rockpool_ff_lif": ("rockpool", 1e-3, (), ()),
    "rockpool_ff_cuba": ("rockpool", 1e-3, (), ()),
    "trained_sinabs_mnist_multi": ("sinabs", 1, (), ()),
    "trained_sinabs_mnist_singlezero": ("sinabs", 1, BINARY, ()),
}  # fmt: skip
CASES = ISSUE | MORE


def compared(cases, name, *extra):
    dialect, dt, settings, keys = CASES[name]
    folder = cases / name
    arguments = ["compare", str(folder / "graph.nir"), "--input", str(folder / "input.npz")]
    arguments += ["--expect", str(folder / "expected.npz"), "--dialect", dialect, "--dt", str(dt)]
    for setting in settings:
        arguments += ["--set", setting]
    result = CliRunner().invoke(app, [*arguments, *keys, "--json", *extra])
    return result.exit_code, json.loads(result.stdout)


@pytest.mark.parametrize("name", CASES)
def test_no_cell_differs_from_the_tool(cases, name):
    code, found = compared(cases, name)
    assert code == 0
    assert found["not_compared"] == []
    assert {node: row["different"] for node, row in found["nodes"].items()} == dict.fromkeys(
        found["nodes"], 0
    )
    assert all(row["cells"] > 0 for row in found["nodes"].values())
    assert sum(row["spikes_expected"] for row in found["nodes"].values()) > 0


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("snntorch_ff_lif_zero", "reset=subtract"),
        ("snntorch_ff_lif_subtract", "reset=subtract"),
        ("snntorch_ff_cuba_zero", "integration=exact"),
        ("norse_ff_lifbox", "integration=exact"),
        ("norse_ff_lifcell_cuba", "input_gain=per_equation"),
        ("rockpool_ff_cuba", "current_order=decay_add_v"),
        ("sinabs_conv_iaf_multispike", "spike=binary"),
        ("nirpaper_braille_zero", "recurrent_bias_at_start=false"),
        ("nirpaper_lif", "feedforward_lag=1"),
    ],
)
def test_another_meaning_of_the_graph_is_noticed(cases, name, wrong):
    code, found = compared(cases, name, "--set", wrong)
    assert code == 1
    assert sum(node["different"] for node in found["nodes"].values()) > 0


@pytest.mark.parametrize(
    ("platform", "dialect", "settings"),
    [
        ("norse", "nir", ()),
        ("snntorch", "snntorch", ()),
        ("lava_cpu_float", "lava", ()),
        ("lava_cpu_fixed", "lava", ()),
        ("spyx", "spyx", ("input_gain=per_equation",)),
    ],
)
def test_platforms_of_the_papers_first_task_have_presets(cases, platform, dialect, settings):
    folder = cases / "nirpaper_lif"
    arguments = ["compare", str(folder / "graph.nir"), "--input", str(folder / "input.npz")]
    arguments += ["--expect", str(folder / "expected.npz"), "--map", f"1={platform}_z"]
    for setting in settings:
        arguments += ["--set", setting]
    result = CliRunner().invoke(app, [*arguments, "--dialect", dialect, "--dt", "1e-4", "--json"])
    assert json.loads(result.stdout)["nodes"]["1"]["different"] == 0
    assert result.exit_code == 0


def test_rockpools_gain_can_be_given_by_hand(cases):
    """Its Cuba neurons add inputs as they are; under NIR's equation that is a gain."""
    folder = cases / "rockpool_ff_cuba"
    net = sp.load(folder / "graph.nir", dialect="rockpool", dt=1e-3)
    x = np.load(folder / "input.npz")["x"]
    recorded = np.load(folder / "expected.npz")["1_LIFTorch"]
    assert np.array_equal(sp.run(net, x).window("1_LIFTorch")[0], recorded)

    decays = {
        name: np.exp(-1e-3 / getattr(net.nodes["1_LIFTorch"], name))
        for name in ("tau_syn", "tau_mem")
    }
    assert all(np.ptp(decay) < 1e-9 for decay in decays.values())
    by_hand = sp.load(
        folder / "graph.nir", dialect="rockpool", dt=1e-3,
        settings=[
            "input_gain=per_equation",
            f"w_in={1 / (1 - decays['tau_syn'][0]):.17g}",
            f"r={1 / (1 - decays['tau_mem'][0]):.17g}",
        ],
    )  # fmt: skip
    assert np.array_equal(sp.run(by_hand, x).window("1_LIFTorch")[0], recorded)
    assert set(by_hand.semantics.parameters) == {"w_in", "r"}


def digits(cases):
    recorded = np.load(cases / "trained_snntorch_digits_lif" / "eval.npz")
    shape = recorded["shape"]
    return np.unpackbits(recorded["packed"])[: np.prod(shape)].reshape(shape), recorded


def test_digits_counts_equal_the_tools_for_all_540_samples(cases):
    x, recorded = digits(cases)
    graph = cases / "trained_snntorch_digits_lif" / "graph.nir"
    ideal = sp.run(sp.load(graph, dialect="snntorch", dt=1e-4), x)
    assert np.array_equal(ideal.window("3").sum(axis=1), recorded["counts"])
    assert np.array_equal(ideal.window("1").sum(axis=1), recorded["hidden_counts"])


def test_digits_lose_at_most_six_tenths_of_a_point_on_loihi1(cases):
    x, recorded = digits(cases)
    graph = cases / "trained_snntorch_digits_lif" / "graph.nir"
    result = sp.deploy(
        sp.load(graph, dialect="snntorch", dt=1e-4),
        chip="loihi1",
        data={"x": x, "labels": recorded["labels"]},
        backends_wanted=["emulator"],
    )
    assert result["accuracy"]["reference"] == pytest.approx(0.98148, abs=1e-4)
    assert result["accuracy"]["emulator"] >= 0.98148 - 0.006
