"""Brian2 behind the verbs and the command line, and what it leaves alone in a process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

import spikeport as sp
from spikeport.backends.brian2 import environment
from spikeport.cli.app import app
from spikeport.compiler.errors import BackendError, DataError, LoweringError, MissingError
from spikeport.compiler.load.write_nir import write_network
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.lif import Lif


def layer() -> Network:
    """One layer that spikes about every third step."""
    flat = np.ones(3)
    neurons = Lif(flat * 5e-3, flat * 5, flat * 0, flat, flat * 0)
    nodes = {"in": Input((4,)), "fc": Linear(np.full((3, 4), 0.3)), "lif": neurons}
    nodes["out"] = Output((3,))
    edges = (("in", "fc"), ("fc", "lif"), ("lif", "out"))
    return Network(nodes, edges, Semantics(dt=1e-3, dialect="nir"))


def data(steps: int = 20) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 2, (2, steps, 4)).astype(np.uint8)


# --- verbs -----------------------------------------------------------------------------------


def test_run_takes_a_network_or_a_clocked(brian2):
    expected = sp.run(layer(), data())
    for noun in (layer(), to_clocked(layer())):
        traces = sp.run(noun, data(), backend="brian2", probe=["lif.v"])
        assert traces.source == "brian2"
        assert np.array_equal(traces.spikes["lif"].dense(), expected.spikes["lif"].dense())
        assert sp.compare(expected, traces).different == 0
        assert traces.probes["lif.v"].shape == (2, 20, 3)
    assert expected.spikes["lif"].total > 20


def test_the_note_says_of_what_it_is_independent(brian2):
    (note,) = sp.run(layer(), data(), backend="brian2").notes
    assert note.startswith("Brian2 2.")
    assert "independent in code" in note
    assert "not in the time discretisation" in note


def test_integers_are_refused_with_the_way_out():
    image = sp.compile(layer(), calibration=data())
    with pytest.raises(LoweringError, match="Brian2 runs floats, not a Program") as caught:
        sp.run(image, data(), backend="brian2")
    assert "--backend emulator" in caught.value.fix


def test_progress_ends_with_all_steps(brian2):
    told = []
    sp.run(layer(), data(), backend="brian2", progress=lambda *now: told.append(now))
    assert told[0] == (0, 20)
    assert told[-1] == (20, 20)
    assert told == sorted(told)


def test_an_environment_variable_chooses_the_target(brian2, monkeypatch):
    monkeypatch.setenv(environment.VARIABLE, "fortran")
    with pytest.raises(DataError, match="fortran is not a code generation target") as caught:
        sp.run(layer(), data(), backend="brian2")
    assert "numpy and cython" in caught.value.why
    monkeypatch.setenv(environment.VARIABLE, "cython")
    assert environment.target() == "cython"


# --- without Brian2 --------------------------------------------------------------------------


def test_its_absence_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "brian2", None)
    with pytest.raises(MissingError, match="Brian2 is not installed") as caught:
        sp.run(layer(), data(), backend="brian2")
    assert "spikeport[brian2]" in caught.value.fix


# --- the command line ------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    write_network(layer(), tmp_path / "net.nir")
    np.savez(tmp_path / "x.npz", x=data())
    said = ["--input", str(tmp_path / "x.npz"), "--out", str(tmp_path / "out.npz")]
    return ["run", str(tmp_path / "net.nir"), "--backend", "brian2", *said]


def test_the_command_line_writes_what_the_reference_spikes(brian2, files):
    result = CliRunner().invoke(app, [*files, "--probe", "lif.v", "--json"])
    assert result.exit_code == 0
    assert json.loads(result.stdout)["backend"] == "brian2"
    expected = sp.run(layer(), data(), probe=["lif.v"])
    with np.load(files[-1]) as written:
        assert np.array_equal(written["lif"], expected.spikes["lif"].dense())
        assert np.allclose(written["lif.v"], expected.probes["lif.v"], rtol=1e-12, atol=1e-14)


def test_the_command_line_without_brian2_ends_with_3(files, tmp_path):
    blocked = "import sys; sys.modules['brian2'] = None; from spikeport.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", blocked, *files], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert "Brian2 is not installed" in done.stderr
    assert not (tmp_path / "out.npz").exists()


# --- what it leaves alone --------------------------------------------------------------------

LEFT = """
import logging, os, signal, sys, tempfile, warnings
import numpy as np
from spikeport.backends import brian2
from spikeport.backends.brian2.environment import load
sys.path.insert(0, sys.argv[1])
from test_brian2_verbs import data, layer
from spikeport.verbs import run
hooks = sys.excepthook, signal.getsignal(signal.SIGINT), warnings.showwarning
run(layer(), data(), backend="brian2")
now = sys.excepthook, signal.getsignal(signal.SIGINT), warnings.showwarning
folders = tempfile.gettempdir(), ".", os.environ["HOME"]
print(hooks == now, *map(os.listdir, folders))
print(load().prefs["codegen.target"], logging.getLogger("brian2").level == logging.ERROR)
"""


def test_a_process_keeps_its_hooks_and_gets_no_files(brian2, tmp_path):
    for name in ("tmp", "home", "here"):
        (tmp_path / name).mkdir()
    places = {"TMPDIR": str(tmp_path / "tmp"), "HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [sys.executable, "-B", "-c", LEFT, str(Path(__file__).parent)],
        env={**os.environ, **places}, cwd=tmp_path / "here", capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.stderr == ""
    assert done.stdout.splitlines() == ["True [] [] []", "auto False"]


def test_preferences_are_as_they_were_also_after_an_error(brian2):
    found = environment.load()
    names = ("codegen.target", "codegen.loop_invariant_optimisations")
    before = [found.prefs[name] for name in names]
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(ZeroDivisionError):
        sp.run(layer(), data(), backend="brian2", progress=lambda done, total: 1 // 0)
    assert [found.prefs[name] for name in names] == before
    assert signal.getsignal(signal.SIGINT) is handler
    sp.run(layer(), data(), backend="brian2")


def test_a_device_that_only_writes_code_is_refused(brian2):
    found = environment.load()
    found.set_device("cpp_standalone", build_on_run=False)
    try:
        with pytest.raises(BackendError, match="set to write code") as caught:
            sp.run(layer(), data(), backend="brian2")
        assert 'set_device("runtime")' in caught.value.fix
    finally:
        found.set_device("runtime")
