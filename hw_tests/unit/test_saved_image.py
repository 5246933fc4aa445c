"""A saved image is the image: the same text, the same bits of a run, the same placement."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import spikeport as sp
from hw_tests.contract.test_every_chip import network
from hw_tests.place_networks import draw_graded, draw_loihi1
from spikeport.backends import chip_names
from spikeport.cli.app import app
from spikeport.cli.at_once import ran_at_once
from spikeport.compiler.errors import OutputError
from spikeport.compiler.image import Image
from spikeport.compiler.load import write_image
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.semantics import Semantics
from spikeport.compiler.text import text
from spikeport.models.neurons.izhikevich import Izhikevich
from spikeport.models.neurons.li import Li

RUNS = [name for name in chip_names() if sp.chip(name).arithmetic not in ("none", "float")]


def kept(image, folder):
    """Save an image and load it."""
    sp.save_image(image, folder / "net.image")
    return sp.load_image(folder / "net.image")


def same_bits(one, other):
    for name, events in one.spikes.items():
        assert (events.dense() == other.spikes[name].dense()).all()
    for name, variables in one.state.variables.items():
        for variable, values in variables.items():
            assert (values == other.state.variables[name][variable]).all()


def same_routes(one, other):
    assert len(one) == len(other) > 0
    for ours, theirs in zip(one, other, strict=True):
        assert (ours.pre, ours.target_core) == (theirs.pre, theirs.target_core)
        for name in ("neurons", "source_cores", "synapses", "sparse"):
            assert (getattr(ours, name) == getattr(theirs, name)).all()


def draw(seed, steps=30, samples=3, n=6):
    return np.random.default_rng(seed).integers(0, 2, (samples, steps, n)).astype(np.uint8)


@pytest.mark.parametrize("name", RUNS)
def test_on_every_chip_the_text_and_the_run_are_the_same(name, tmp_path):
    image = sp.compile(network(sp.chip(name)), name, calibration=draw(2))
    loaded = kept(image, tmp_path)
    same_bits(sp.run(image, draw(3)), sp.run(loaded, draw(3)))
    assert text(loaded) == text(image)
    assert loaded.chip == image.chip
    assert loaded.program.losses == tuple(image.program.losses)
    assert loaded.resources == image.resources
    same_routes(loaded.routes, image.routes)
    assert verify(loaded, full=True).plan is loaded.plan


@pytest.mark.parametrize("seed", range(6))
def test_random_programs_with_sparse_weights_and_delays_come_back(seed, tmp_path):
    rng = np.random.default_rng(seed)
    program, chip = (draw_loihi1 if seed % 2 else draw_graded)(rng)
    try:
        image = place(program, chip, chip.most_chips)
    except sp.errors.FitError:
        pytest.skip("this network does not fit its small chip")
    loaded = kept(image, tmp_path)
    assert text(loaded) == text(image)
    for ours, theirs in zip(loaded.program.synapses, image.program.synapses, strict=True):
        assert ours.stored.dtype == theirs.stored.dtype
        assert ours.step == theirs.step
        assert (ours.rows != theirs.rows).nnz == 0


def test_lava_runs_a_saved_image_as_the_emulator_does(lava, tmp_path):
    loaded = kept(sp.compile(network(sp.chip("loihi1")), calibration=draw(2)), tmp_path)
    ours, theirs = sp.run(loaded, draw(3)), sp.run(loaded, draw(3), backend="lava")
    assert ours.spikes["b"].total > 0
    for name in ("a", "b"):
        assert (ours.spikes[name].dense() == theirs.spikes[name].dense()).all()


def test_neurons_of_an_extension_come_back(tmp_path):
    ones = np.ones(3)
    cell = Izhikevich(0.02 * ones, 0.2 * ones, -65 * ones, 8 * ones, 30 * ones)
    nodes = {"in": Input((3,)), "w": Linear(20 * np.eye(3)), "n": cell, "out": Output((3,))}
    edges = (("in", "w"), ("w", "n"), ("n", "out"))
    net = Network(nodes, edges, Semantics(dt=1e-3, dialect="nir"))
    image = sp.compile(net, "generic_graded")
    loaded = kept(image, tmp_path)
    same_bits(sp.run(image, draw(1, n=3)), sp.run(loaded, draw(1, n=3)))
    assert text(loaded) == text(image)


@pytest.fixture
def hosted():
    """Real-valued inputs, which the host turns into biases, and an output that is analog."""
    ones = np.ones(2)
    nodes = {
        "in": Input((4,)), "w": Linear(np.arange(8.0).reshape(2, 4) / 4), "n": Li(
            tau=5e-3 * ones, r=ones, v_leak=0 * ones), "out": Output((2,)),
    }  # fmt: skip
    edges = (("in", "w"), ("w", "n"), ("n", "out"))
    return Network(nodes, edges, Semantics(dt=1e-3, dialect="nir"), name="hosted")


def test_what_the_host_computes_is_in_the_file(hosted, tmp_path):
    x = np.random.default_rng(0).normal(size=(2, 12, 4))
    image = sp.compile(hosted, "loihi1", calibration=x, kind="current")
    loaded = kept(image, tmp_path)
    assert loaded.program.host
    same_bits(sp.run(image, x), sp.run(loaded, x))
    assert text(loaded) == text(image)


def test_a_loaded_image_becomes_an_image_when_its_chip_is_asked_for(tmp_path):
    loaded = kept(sp.compile(network(sp.chip("loihi1"))), tmp_path)
    assert isinstance(loaded, Image)
    assert loaded.chip.name == "loihi1"
    assert type(loaded) is Image


def test_routes_of_a_large_image_are_left_out_and_found_again(tmp_path, monkeypatch):
    image = sp.compile(network(sp.chip("loihi1")))
    sp.save_image(image, tmp_path / "kept.image")
    monkeypatch.setattr(write_image, "MOST_AXONS", 0)
    loaded = kept(image, tmp_path)
    assert (tmp_path / "net.image").stat().st_size < (tmp_path / "kept.image").stat().st_size
    assert not isinstance(loaded.routes, tuple)
    same_routes(loaded.routes, image.routes)
    assert type(loaded) is not Image  # the placement was not verified for it
    assert text(loaded) == text(image)


def test_arrays_of_a_loaded_image_cannot_be_changed(tmp_path):
    program = kept(sp.compile(network(sp.chip("loihi1"))), tmp_path).program
    with pytest.raises(ValueError, match="read-only"):
        program.synapses[0].stored[0, 0] = 1


def test_nothing_is_overwritten(tmp_path):
    image = sp.compile(network(sp.chip("loihi1")))
    (tmp_path / "net.image").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        sp.save_image(image, tmp_path / "net.image")
    assert (tmp_path / "net.image").read_text() == "mine"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def folder(hosted, tmp_path):
    """A graph of spikes, one of currents, and data for both."""
    sp.write(network(sp.chip("loihi1")), tmp_path / "net.nir")
    sp.write(hosted, tmp_path / "hosted.nir")
    np.savez(tmp_path / "x.npz", x=draw(4))
    np.savez(tmp_path / "current.npz", x=np.random.default_rng(0).normal(size=(2, 12, 4)))
    return tmp_path


def typed(folder, *words):
    ours = (".nir", ".npz", ".image")
    return CliRunner().invoke(app, [str(folder / w) if w.endswith(ours) else w for w in words])


def printed(folder, *words):
    result = typed(folder, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_compile_and_run_give_what_run_gives(folder):
    compiled = printed(
        folder, "compile", "net.nir", "--chip", "loihi1", "--data", "x.npz", "--out", "net.image"
    )
    assert compiled["chip"] == "loihi1"
    assert compiled["bytes"] == (folder / "net.image").stat().st_size
    ran = printed(folder, "run", "net.image", "--data", "x.npz", "--out", "one.npz")
    graph = ("run", "net.nir", "--backend", "emulator", "--input", "x.npz")
    at_once = printed(folder, *graph, "--out", "other.npz")
    assert ran["populations"] == at_once["populations"]
    assert ran["backend"] == "emulator"
    with np.load(folder / "one.npz") as one, np.load(folder / "other.npz") as other:
        assert set(one) == set(other)
        assert all((one[key] == other[key]).all() for key in one)


def test_real_values_are_expected_where_the_image_was_compiled_for_them(folder):
    words = ("--chip", "loihi1", "--data", "current.npz", "--input", "current")
    printed(folder, "compile", "hosted.nir", *words, "--out", "net.image")
    ran = printed(folder, "run", "net.image", "--data", "current.npz", "--out", "one.npz")
    assert ran["analog"] == ["n"]
    with np.load(folder / "one.npz") as one:
        assert one["n.v"].shape == (2, 12, 2)


def test_without_out_only_the_totals_are_printed(folder):
    printed(folder, "compile", "net.nir", "--chip", "loihi1", "--out", "net.image")
    before = sorted(folder.iterdir())
    assert printed(folder, "run", "net.image", "--data", "x.npz")["out"] is None
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--chip", "loihi2"), "--chip has no effect on a saved image"),
        (("--dialect", "norse", "--slow", "2"), "leave --dialect and --slow out"),
        (("--backend", "reference"), "runs floats, not a Program"),
        (("--probe", "nobody.v"), "there is nothing to probe at 'nobody.v'"),
        (("--input-kind", "current"), "net.nir was compiled for spikes"),
    ],
)
def test_options_that_do_not_go_with_an_image_are_refused(folder, words, message):
    printed(folder, "compile", "net.nir", "--chip", "loihi1", "--out", "net.image")
    before = sorted(folder.iterdir())
    result = typed(folder, "run", "net.image", "--data", "x.npz", *words, "--out", "one.npz")
    assert result.exit_code
    assert message in str(result.exception)
    assert sorted(folder.iterdir()) == before


def test_a_graph_needs_a_backend(folder):
    result = typed(folder, "run", "net.nir", "--input", "x.npz", "--out", "one.npz")
    assert "it is not said what runs the graph" in str(result.exception)


def test_other_commands_say_what_an_image_is(folder):
    printed(folder, "compile", "net.nir", "--chip", "loihi1", "--out", "net.image")
    assert "a saved image" in str(typed(folder, "inspect", "net.image").exception)


HEAVY = {"scipy", "pydantic", "nir", "h5py", "jinja2", "ruamel", "rich", "typer"}


def in_a_process(code, *words):
    words = [sys.executable, "-c", code, *map(str, words)]
    return subprocess.run(words, capture_output=True, text=True, check=True)


def test_loading_imports_nothing_but_numpy_and_ours(tmp_path):
    sp.save_image(sp.compile(network(sp.chip("loihi1"))), tmp_path / "net.image")
    code = "import sys, spikeport; spikeport.load_image(sys.argv[1]); print(*sys.modules)"
    assert not HEAVY & set(in_a_process(code, tmp_path / "net.image").stdout.split())


def test_the_command_line_imports_no_more_and_prints_the_same(folder):
    printed(folder, "compile", "net.nir", "--chip", "loihi1", "--out", "net.image")
    words = ("run", folder / "net.image", "--data", folder / "x.npz", "--probe=b.v")
    code = """
import sys
from spikeport.cli import main
main()
print(*sys.modules, file=sys.stderr)
"""
    done = in_a_process(code, *words, "--out", folder / "one.npz", "--json")
    assert not (HEAVY - {"scipy"}) & set(done.stderr.split())  # NumPy's engine may need SciPy
    by_typer = printed(folder, *map(str, words), "--out", "other.npz")
    assert json.loads(done.stdout) | {"out": ""} == by_typer | {"out": ""}
    assert (folder / "one.npz").read_bytes() == (folder / "other.npz").read_bytes()


@pytest.mark.parametrize(
    "words",
    [
        ["run", "net.image"],
        ["run", "net.image", "--data"],
        ["run", "net.image", "--data", "x.npz", "--help"],
        ["run", "net.image", "--data", "x.npz", "--chip", "loihi1"],
        ["run", "net.image", "other.image", "--data", "x.npz"],
        ["run", "net.nir", "--data", "x.npz"],
        ["compile", "net.image", "--data", "x.npz"],
        ["run"],
        [],
    ],
    ids=" ".join,
)
def test_anything_but_a_plain_run_of_an_image_is_left_to_typer(words):
    assert not ran_at_once(words)
