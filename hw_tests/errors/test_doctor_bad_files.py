"""Hostile and broken files under the doctor: bounded, said, and nothing written."""

from __future__ import annotations

import contextlib
import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import h5py
import numpy as np
import pytest

from spikeport.compiler.errors import LoadError, SpikeportError
from spikeport.graph_doctor.diagnose import diagnose
from spikeport.graph_doctor.fix import fix


def files() -> ModuleType:
    """The makers of bad files that the loader's own tests have."""
    path = Path(__file__).with_name("test_bad_files.py")
    spec = importlib.util.spec_from_file_location("bad_files", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


MAKERS = files()
#: Wrong graphs in readable files that the doctor mends, with a guess where there are two readings.
MENDED = {"edge twice", "edge from nowhere", "edge to nowhere", "Input of nothing"}
#: Not readable as a graph whose nodes can be named.
UNREADABLE = {
    "external link", "soft link", "external storage", "virtual dataset", "reference", "2 TiB",
    "hard link to a group above", "a chunk that grows", "deep groups", "no graph",
    "markup in a name", "control characters in a name", "a name that runs backwards",
}  # fmt: skip
FAULTS = {**MAKERS.HOSTILE, **MAKERS.WRONG}


@pytest.mark.parametrize("fault", sorted(UNREADABLE))
def test_a_hostile_file_is_no_graph_to_the_doctor(fault: str, tmp_path: Path):
    edit, words = FAULTS[fault]
    with pytest.raises(LoadError, match=rf"(?s)^bad\.nir: .*{words}"):
        diagnose(MAKERS.bad_file(tmp_path, edit))


@pytest.mark.parametrize("fault", sorted(set(FAULTS) - MENDED - UNREADABLE))
def test_what_cannot_be_mended_is_said_and_nothing_is_written(fault: str, tmp_path: Path):
    path = MAKERS.bad_file(tmp_path, FAULTS[fault][0])
    before = sorted(tmp_path.iterdir())
    with contextlib.suppress(LoadError):
        found = diagnose(path)
        assert found.by_hand
        said = "".join(text for each in found.findings for text in each.to_dict().values())
        assert not {"<", ">", "\x1b"} & set(said)
        assert fix(found, tmp_path / "out.nir", guess=True)["written"] is None
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("fault", sorted(MENDED))
def test_what_has_a_likely_reading_is_mended(fault: str, tmp_path: Path):
    found = diagnose(MAKERS.bad_file(tmp_path, FAULTS[fault][0]))
    assert found.errors
    assert not found.by_hand
    assert fix(found, tmp_path / "out.nir", guess=True)["nir"] == "yes"


def test_damage_anywhere_is_an_error_of_ours_or_can_be_diagnosed(tmp_path: Path):
    whole = MAKERS.good_file(tmp_path / "good.nir").read_bytes()
    random = np.random.default_rng(7)
    for _ in range(150):
        damaged = bytearray(whole)
        for at in random.integers(0, len(whole), 8):
            damaged[at] = random.integers(256)
        (tmp_path / "damaged.nir").write_bytes(damaged)
        (tmp_path / "out.nir").unlink(missing_ok=True)
        with contextlib.suppress(SpikeportError):
            fix(diagnose(tmp_path / "damaged.nir"), tmp_path / "out.nir", guess=True)
    assert not list(tmp_path.glob(".*"))


def written(path: Path, nodes: dict[str, dict[str, Any]], edges: list[tuple[str, str]]) -> Path:
    with h5py.File(path, "w") as file:
        file["node/type"] = "NIRGraph"
        for name, fields in nodes.items():
            for field, value in fields.items():
                file[f"node/nodes/{name}/{field}"] = value
        file.create_dataset("node/edges", data=edges, dtype=h5py.string_dtype())
    return path


def ports(size: int) -> dict[str, dict[str, Any]]:
    return {
        "input": {"type": "Input", "shape": np.array([size])},
        "output": {"type": "Output", "shape": np.array([size])},
    }


LIF = {"type": "LIF", "tau": 0.01, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}


def test_single_values_for_millions_of_neurons_are_not_written_out(tmp_path: Path):
    resource = pytest.importorskip("resource")
    names = [f"n{index}" for index in range(8)]
    nodes = ports(1 << 24) | dict.fromkeys(names, LIF)
    chain = list(zip(["input", *names], [*names, "output"], strict=True))
    path = written(tmp_path / "wide.nir", nodes, chain)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = diagnose(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 256 << 10  # kB
    assert "the limit is" in next(each.why for each in found.findings if each.name == "broadcast")
    assert not found.errors


def test_thousands_of_missing_nodes_are_looked_into_up_to_a_limit(tmp_path: Path):
    edges = [("input", "n"), ("n", "output"), *((f"m{index}", "n") for index in range(5000))]
    found = diagnose(written(tmp_path / "many.nir", ports(3) | {"n": LIF}, edges))
    assert sum(change.name == "drop-edge" for change in found.changes) == 20
    assert found.by_hand


def test_a_loop_of_ports_is_left_to_the_loader(tmp_path: Path):
    loop = {name: {"type": "Output", "shape": np.array([3])} for name in ("a", "b")}
    edges = [("input", "n"), ("n", "output"), ("a", "b"), ("b", "a"), ("n", "a")]
    found = diagnose(written(tmp_path / "loop.nir", ports(3) | loop | {"n": LIF}, edges))
    assert found.by_hand
