"""Wrong input on the command line: one message with what, why and what to do, and nothing written.

Most cases run `spikeport.cli.main` in this process; a few run it in one of their own, as people
do, and under `python -O`, where an assert would be gone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import h5py
import nir
import numpy as np
import pytest

from spikeport import backends
from spikeport.cli import main

X = np.random.default_rng(2).integers(0, 2, (3, 6, 2)).astype(np.uint8)


def write_net(path: Path, neurons: int = 2, **metadata: object) -> None:
    """Write two inputs -> fc -> lif -> output."""
    one, zero = np.ones(neurons), np.zeros(neurons)
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "fc": nir.Affine(np.ones((neurons, 2)) * 2, zero),
        "lif": nir.LIF(0.01 * one, 10 * one, zero, one, v_reset=zero),
        "output": nir.Output({"output": np.array([neurons])}),
    }
    graph = nir.NIRGraph(nodes, list(pairwise(nodes)), metadata=dict(metadata))
    nir.write(path, graph)


def changed(path: Path, place: str, value: object) -> None:
    """Put another value at a place of an HDF5 file."""
    with h5py.File(path, "r+") as file:
        if place in file:
            del file[place]
        if value is not None:
            file[place] = value


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with good files and bad ones, in which the commands are run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    write_net(Path("net.nir"))
    write_net(Path("wide.nir"), 40)
    write_net(Path("strange.nir"))
    changed(Path("strange.nir"), "node/nodes/lif/type", "Izhikevich")
    write_net(Path("nan.nir"))
    changed(Path("nan.nir"), "node/nodes/fc/bias", np.array([np.nan, 0.0]))
    Path("broken.nir").write_bytes(Path("net.nir").read_bytes()[:700])
    Path("empty.nir").touch()
    Path("text.nir").write_text("not a graph")
    Path("folder.nir").mkdir()
    data = {
        "d": {"x": X, "labels": [0, 1, 0]},
        "nolabels": {"x": X},
        "flat": {"x": X.reshape(3, -1)},
        "transposed": {"x": X.transpose(0, 2, 1)},
        "nan": {"x": np.where(X == 1, np.nan, 0.0)},
        "half": {"x": X * 0.5},
        "named": {"x.other": X},
        "nothing": {},
        "labels": {"x": X, "labels": [1, 2]},
        "spikes": {"lif": np.zeros((3, 6, 2), np.uint8)},
        "volts": {"lif": np.full((3, 6, 2), 0.5)},
        "short": {"lif": np.zeros((3, 5, 2), np.uint8)},
        "unrelated": {"hidden": np.zeros((3, 6, 2), np.uint8)},
        "pickled": {"x": np.array([{"a": 1}], dtype=object)},
    }
    for name, arrays in data.items():
        np.savez(f"{name}.npz", **arrays)
    Path("broken.npz").write_bytes(Path("d.npz").read_bytes()[:200])
    Path("empty.npz").touch()
    text = (backends.CHIPS / "loihi1.yaml").read_text()
    small = re.sub(r"(tiles_[xy]|cores_per_tile):\n    value: \d+", r"\1:\n    value: 1", text)
    small = small.replace("value: 1024\n    unit: compartments", "value: 8\n    unit: compartments")
    Path("small.yaml").write_text(small.replace("name: loihi1", "name: small"))
    Path("bad.yaml").write_text(text + "colour: blue\n")
    Path("used").mkdir()
    Path("used/mine.txt").write_text("mine")
    Path("file").write_text("mine")
    return tmp_path


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.is_file() or not any(path.iterdir())
    }


def spikeport(monkeypatch, capsys, words: str) -> tuple[int, str, str]:
    """Run a command in this process; return exit code, stdout and stderr."""
    monkeypatch.setattr(sys, "argv", ["spikeport", *shlex.split(words)])
    with pytest.raises(SystemExit) as ended:
        main()
    captured = capsys.readouterr()
    return ended.value.code or 0, captured.out, captured.err


GOOD = "--dialect nir --dt 1e-3"
DEPLOY = f"--chip loihi1 --data d.npz --out out --backends emulator {GOOD}"


def deploy(graph: str = "net.nir", **options: str) -> str:
    """Return a deploy command with some options replaced; an empty one is left out."""
    words = dict(pairwise_options(DEPLOY)) | {f"--{key}": value for key, value in options.items()}
    return f"deploy {graph} " + " ".join(f"{key} {value}" for key, value in words.items() if value)


def pairwise_options(text: str) -> list[tuple[str, str]]:
    words = text.split()
    return list(zip(words[::2], words[1::2], strict=True))


COMPARE = f"compare net.nir --input d.npz --expect spikes.npz {GOOD}"
RUN = f"run net.nir --backend reference --input d.npz --out t.npz {GOOD}"
EXPORT = f"export net.nir --chip loihi1 --to lava --out bundle {GOOD}"

#: What is wrong -> the command, the file that the message names, and words of it.
WRONG = {
    "an unknown chip": (deploy(chip="loihi9"), "net.nir", "unknown chip 'loihi9': known are"),
    "a chip file that is missing": (deploy(chip="gone.yaml"), "gone.yaml", "cannot read a chip"),
    "a bad chip file": (deploy(chip="bad.yaml"), "bad.yaml", "colour: Extra inputs"),
    "a folder as a chip": (deploy(chip="./used"), "used", "cannot read a chip"),
    "an unknown dialect": (deploy(dialect="brian"), "net.nir", "unknown dialect 'brian': known"),
    "no dialect": (deploy(dialect=""), "net.nir", "what a time step means is unknown"),
    "no dt": (deploy(dt=""), "net.nir", "the length of a time step is unknown"),
    "a dt of 0": (deploy(dt="0"), "net.nir", "dt=0.0 is not a usable number"),
    "a dt of nan": (deploy(dt="nan"), "net.nir", "dt=nan is not a usable number"),
    "an unknown field": (
        deploy(set="rest=1"), "net.nir", "unknown semantics field 'rest', and no neuron parameter",
    ),
    "a wrong value of a field": (deploy(set="reset=hard"), "net.nir", "reset=hard is not a value"),
    "a setting without a value": (deploy(set="reset"), "net.nir", "cannot read the setting"),
    "an unknown node type": (deploy("strange.nir"), "strange.nir", "Izhikevich"),
    "NaN in the graph": (deploy("nan.nir"), "nan.nir", "fc"),
    "a broken graph": (deploy("broken.nir"), "broken.nir", ""),
    "an empty graph": (deploy("empty.nir"), "empty.nir", "empty"),
    "text for a graph": (deploy("text.nir"), "text.nir", "text"),
    "a folder for a graph": (deploy("folder.nir"), "folder.nir", "this is a folder"),
    "a graph that is missing": (deploy("gone.nir"), "gone.nir", "there is no such file"),
    "data for a graph": (deploy("d.npz"), "d.npz", ""),
    "data that is missing": (deploy(data="gone.npz"), "gone.npz", "there is no such file"),
    "a graph for data": (deploy(data="net.nir"), "net.nir", ""),
    "a folder for data": (deploy(data="used"), "used", "this is a folder"),
    "broken data": (deploy(data="broken.npz"), "broken.npz", ""),
    "empty data": (deploy(data="empty.npz"), "empty.npz", "empty"),
    "pickled data": (deploy(data="pickled.npz"), "pickled.npz", ""),
    "data without arrays": (deploy(data="nothing.npz"), "nothing.npz", "numpy.savez"),
    "data under another name": (deploy(data="named.npz"), "named.npz", "it has 'x.other'"),
    "data of a wrong shape": (deploy(data="flat.npz"), "flat.npz", "the graph takes (samples"),
    "transposed data": (deploy(data="transposed.npz"), "transposed.npz", "reshape or transpose"),
    "data with NaN": (deploy(data="nan.npz"), "nan.npz", "holds NaN or infinity: first in sample"),
    "data that is not 0 or 1": (deploy(data="half.npz"), "half.npz", "spikes are 0 or 1"),
    "labels of another length": (deploy(data="labels.npz"), "labels.npz", "there are 3 samples"),
    "an unknown kind of input": (deploy(input="volts"), "net.nir", "unknown input kind 'volts'"),
    "an unknown decoder": (deploy(decode="vote"), "net.nir", "unknown decoder 'vote'"),
    "an unknown column": (deploy(cost="guess"), "net.nir", "no cost column 'guess': it has"),
    "an unknown backend": (deploy(backends="gpu"), "net.nir", "unknown backend 'gpu': known are"),
    "a folder in use": (deploy(out="used"), "net.nir", "the folder used is in use"),
    "a file for a folder": (deploy(out="file"), "file", "file is a file"),
    "a folder below a file": (deploy(out="file/out"), "net.nir", "is a file"),
    "the present folder in use": (deploy(out="."), "net.nir", "is in use"),
    "a graph that does not fit": (
        deploy("wide.nir", chip="small.yaml"), "wide.nir", "needs 5 cores, the limit is 1"
    ),
    "a graph that does not fit, exported": (
        EXPORT.replace("net.nir", "wide.nir").replace("loihi1", "small.yaml"),
        "wide.nir", "does not fit small",
    ),
    "an unknown backend to run": (RUN.replace("reference", "gpu"), "net.nir", "unknown backend"),
    "a file that is there": (RUN.replace("t.npz", "file"), "file", "nothing is ever overwr"),
    "a folder that is not there": (RUN.replace("t.npz", "no/t.npz"), "net.nir", "mkdir -p no"),
    "a file below a file": (RUN.replace("t.npz", "file/t.npz"), "net.nir", "file is a file"),
    "a probe of nothing": (f"{RUN} --probe lif.w", "net.nir", "nothing to probe at 'lif.w'"),
    "a run without dt": (RUN.replace(" --dt 1e-3", ""), "net.nir", "--dt 1e-4"),
    "an unknown target": (EXPORT.replace("lava", "gpu"), "net.nir", "be written for 'gpu'"),
    "a target without an artefact": (
        EXPORT.replace("lava", "emulator"), "net.nir", "be written for 'emulator'",
    ),
    "an export into a folder in use": (EXPORT.replace("bundle", "used"), "net.nir", "in use"),
    "no array at all": (
        COMPARE.replace("spikes.npz", "unrelated.npz"), "unrelated.npz", "nothing in unrelated.npz"
    ),
    "an empty recording": (
        COMPARE.replace("spikes.npz", "nothing.npz"), "nothing.npz", "numpy.savez"
    ),
    "a mapped key that is missing": (f"{COMPARE} --map lif=z", "spikes.npz", "no array 'z'"),
    "a mapped node that is missing": (f"{COMPARE} --map fc=lif", "net.nir", "NODE of lif"),
    "a map without a key": (f"{COMPARE} --map lif", "net.nir", "it has the form NODE=KEY"),
    "a recording of voltages": (
        COMPARE.replace("spikes.npz", "volts.npz"), "volts.npz", "does not hold whole numbers"
    ),
    "a recording that is too short": (
        COMPARE.replace("spikes.npz", "short.npz"), "short.npz", "has the shape (3, 5, 2)"
    ),
    "a recording that is missing": (
        COMPARE.replace("spikes.npz", "gone.npz"), "gone.npz", "no such file"
    ),
    "an unknown chip to check": ("check net.nir --chip loihi9", "net.nir", "unknown chip"),
    "a broken graph to inspect": ("inspect broken.nir", "broken.nir", ""),
    "something unknown to install": ("doctor --install brian", "", "known is lava"),
}  # fmt: skip


def is_one_message(said: str, name: str, words: str) -> None:
    assert said.startswith("error: ")
    assert said.count("error: ") == 1
    assert "Traceback" not in said
    assert "spikeport failed" not in said
    assert name in said
    assert words in said
    assert len(said.splitlines()) <= 8


@pytest.mark.parametrize("what", WRONG)
def test_one_message_names_the_file_exits_2_and_nothing_is_written(what, here, monkeypatch, capsys):
    command, name, words = WRONG[what]
    before = tree(here)
    code, out, said = spikeport(monkeypatch, capsys, command)
    assert code == 2
    assert out == ""
    is_one_message(said, name, words)
    assert tree(here) == before


#: What is wrong is plain from the message, and there is nothing to type.
NO_ADVICE = {
    "a broken graph", "a graph for data", "data for a graph", "broken data", "pickled data",
    "a broken graph to inspect", "NaN in the graph", "an unknown kind of input",
}  # fmt: skip


@pytest.mark.parametrize("what", [what for what in WRONG if what not in NO_ADVICE])
def test_the_message_says_what_to_do(what, here, monkeypatch, capsys):
    _, _, said = spikeport(monkeypatch, capsys, WRONG[what][0])
    assert re.search(r"\n  fix: \S", said)


# --- what is told works ------------------------------------------------------------------------


def told(said: str) -> str:
    """Return the command in a message, with the first of several choices."""
    return re.sub(r"\|\S+", "", re.search(r"spikeport (.*)", said).group(1))


def without(command: str, *options: str) -> str:
    for option in options:
        command = re.sub(rf" --{option} \S+", "", command)
    return command


SAME = COMPARE.replace("spikes.npz", "same.npz").replace("1e-3", "1e-4")


@pytest.mark.parametrize("missing", [("dt",), ("dialect",), ("dt", "dialect")], ids=" ".join)
@pytest.mark.parametrize(
    "command", [deploy(), deploy(out="'two words'"), RUN, EXPORT, SAME], ids=lambda c: c[:16]
)
def test_the_command_in_the_message_works_when_followed(
    command, missing, here, monkeypatch, capsys
):
    recording = RUN.replace("t.npz", "same.npz").replace("1e-3", "1e-4")
    assert spikeport(monkeypatch, capsys, recording)[0] == 0
    command = without(command, *missing)
    for _ in missing:
        code, _, said = spikeport(monkeypatch, capsys, command)
        assert code == 2
        command = told(said)
    code, _, said = spikeport(monkeypatch, capsys, command)
    assert (code, said) == (0, "")


# --- what is not wrong -------------------------------------------------------------------------


def test_missing_labels_are_no_error(here, monkeypatch, capsys):
    code, _, said = spikeport(monkeypatch, capsys, deploy(data="nolabels.npz"))
    assert (code, said) == (0, "")
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip


def test_real_values_are_taken_as_told(here, monkeypatch, capsys):
    _, _, said = spikeport(monkeypatch, capsys, deploy(data="half.npz"))
    option = re.search(r"add (--input current)", said).group(1)
    assert spikeport(monkeypatch, capsys, f"{deploy(data='half.npz')} {option}")[0] == 0


def test_an_empty_folder_is_taken(here, monkeypatch, capsys):
    Path("out").mkdir()
    assert spikeport(monkeypatch, capsys, deploy())[0] == 0


def test_a_check_that_does_not_fit_exits_2_and_lists_why(here, monkeypatch, capsys):
    before = tree(here)
    code, out, _ = spikeport(monkeypatch, capsys, "check wide.nir --chip small.yaml")
    assert code == 2
    assert out == (
        "wide.nir does not fit small:\n  - wide.nir needs 5 cores, the limit is 1: --chips 5\n"
        "  neurons do what NIR says in a step; another tool's reset or counts: --dialect\n"
    )
    assert spikeport(monkeypatch, capsys, "check wide.nir --chip small.yaml --chips 5")[0] == 0
    assert spikeport(monkeypatch, capsys, "check net.nir --chip small.yaml")[0] == 0
    assert tree(here) == before


def test_the_file_is_checked_before_everything_else(here, monkeypatch, capsys):
    everything_wrong = deploy("broken.nir", chip="no", data="no.npz", dt="", out="file")
    _, _, said = spikeport(monkeypatch, capsys, everything_wrong)
    is_one_message(said, "broken.nir", "")


def test_a_difference_is_1_and_not_an_error(here, monkeypatch, capsys):
    code, out, _ = spikeport(monkeypatch, capsys, COMPARE)
    assert code == 1
    assert "different" in out


# --- in a process of its own, as people run it -------------------------------------------------

AS_PEOPLE_DO = {
    "plain": [sys.executable, "-c"],
    "without asserts": [sys.executable, "-O", "-c"],
}


@pytest.mark.parametrize(
    ("how", "what"),
    [
        ("plain", "a broken graph"),
        ("without asserts", "NaN in the graph"),
        ("without asserts", "an unknown node type"),
        ("without asserts", "data with NaN"),
        ("without asserts", "a graph that does not fit"),
        ("without asserts", "no array at all"),
    ],
)
def test_a_process_ends_with_2_and_the_same_message(how, what, here):
    command, name, words = WRONG[what]
    before = tree(here)
    done = subprocess.run(
        [*AS_PEOPLE_DO[how], "from spikeport.cli import main; main()", *shlex.split(command)],
        capture_output=True, text=True, cwd=here, timeout=60,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stdout == ""
    is_one_message(done.stderr, name, words)
    assert tree(here) == before


@pytest.mark.skipif(importlib.util.find_spec("onnx") is None, reason="generate.py needs onnx")
def test_the_shared_bad_inputs_are_refused(shared, tmp_path):
    folder = tmp_path / "bad"
    script = shared / "badinputs" / "generate.py"
    subprocess.run([sys.executable, script, "--out", folder], check=True, capture_output=True)
    good = tmp_path / "good"
    good.mkdir()
    write_net(good / "net.nir")
    np.savez(good / "d.npz", x=X)
    product = f"{sys.executable} -O -c 'from spikeport.cli import main; main()' deploy"
    rest = "--out {out} --dialect nir --dt 1e-3"
    commands = {
        "nir": f"{product} {{file}} --chip loihi1 --data {good}/d.npz --out {{out}}",
        "npz": f"{product} {good}/net.nir --chip loihi1 --data {{file}} {rest}",
        "yaml": f"{product} {good}/net.nir --chip {{file}} --data {good}/d.npz {rest}",
    }
    judge = [sys.executable, shared / "badinputs" / "check.py", "--dir", folder]
    for kind, command in commands.items():
        judge += ["--cmd", f"{kind}={command}"]
    done = subprocess.run(judge, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
