"""Extensions: a kind of neuron that NIR does not have, held by a standard node's metadata."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import nir
import numpy as np
import pytest

import spikeport.models.neurons  # noqa: F401
from spikeport.compiler.errors import GraphError, LoadError
from spikeport.compiler.kinds import NEURONS, Array
from spikeport.compiler.load.nir import read_network, write_network
from spikeport.compiler.network import freeze_fields
from spikeport.compiler.text import text


@dataclass(frozen=True, eq=False)
class Quadratic:
    """A kind that only these tests know."""

    speed: Array
    bend: Array
    peak: Array

    nir_type: ClassVar[str] = "Quadratic"
    extension: ClassVar[str] = "quadratic"
    placeholder: ClassVar[str] = "CubaLIF"
    positive: ClassVar[tuple[str, ...]] = ("speed",)
    absent: ClassVar[Mapping[str, float]] = {"peak": 30.0}
    spiking: ClassVar[bool] = True

    def __post_init__(self) -> None:
        freeze_fields(self)


@pytest.fixture
def quadratic() -> Iterator[type]:
    """The kind, registered for one test."""
    NEURONS["Quadratic"] = Quadratic
    yield Quadratic
    del NEURONS["Quadratic"]


def held(path: Path, node: Any = None, **metadata: Any) -> Path:
    """Write input -> a node with this metadata, LIF by default -> output; two neurons."""
    one = np.ones(2)
    node = nir.LIF(one, one, 0 * one, one, 0 * one) if node is None else node
    node.metadata = {"spikeport.ext": "quadratic", **metadata}
    ends = {"input": np.array([2])}, {"output": np.array([2])}
    nodes = {"input": nir.Input(ends[0]), "q": node, "output": nir.Output(ends[1])}
    nir.write(path, nir.NIRGraph(nodes, list(itertools.pairwise(nodes)), type_check=False))
    return path


@pytest.mark.usefixtures("quadratic")
def test_parameters_come_from_the_metadata_and_not_from_the_placeholder(tmp_path: Path):
    path = held(tmp_path / "q.nir", speed=np.array([1.5, 2.5]), bend=-3, comment="by hand")
    node = read_network(path).nodes["q"]
    assert type(node) is Quadratic
    assert {key: value.tolist() for key, value in vars(node).items()} == {
        "speed": [1.5, 2.5],
        "bend": [-3.0, -3.0],
        "peak": [30.0, 30.0],
    }


@pytest.mark.usefixtures("quadratic")
def test_an_extension_is_written_as_its_placeholder_and_reads_back(tmp_path: Path):
    net = read_network(held(tmp_path / "q.nir", speed=np.array([1.5, 2.5]), bend=-3.0))
    (tmp_path / "again").mkdir()
    write_network(net, tmp_path / "again" / "q.nir")
    stored = nir.read(tmp_path / "again" / "q.nir").nodes["q"]
    assert (type(stored).__name__, stored.metadata["spikeport.ext"]) == ("CubaLIF", "quadratic")
    assert (stored.tau_mem.tolist(), stored.v_leak.tolist()) == ([1.0, 1.0], [0.0, 0.0])
    assert text(read_network(tmp_path / "again" / "q.nir")) == text(net)


def test_without_its_kind_the_same_file_is_refused(tmp_path: Path):
    path = held(tmp_path / "q.nir", speed=1.0, bend=1.0)
    with pytest.raises(LoadError, match="is an extension 'quadratic' that is not known") as told:
        read_network(path)
    assert "LIF is only a placeholder" in told.value.why


@pytest.mark.usefixtures("quadratic")
@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"speed": 1.0}, "bend is missing"),
        ({"speed": -1.0, "bend": 0.0}, "speed is -1, it must be above 0"),
        ({"speed": np.nan, "bend": 0.0}, "speed is nan, so it is not finite"),
        ({"speed": "fast", "bend": 0.0}, "speed is not a number"),
        ({"speed": np.ones(3), "bend": 0.0}, r"speed has shape \(3,\), the node's own .* \(2,\)"),
    ],
    ids=["missing", "negative", "nan", "text", "shape"],
)
def test_a_parameter_that_cannot_be_is_refused_by_name(
    tmp_path: Path, metadata: dict[str, Any], message: str
):
    path = held(tmp_path / "q.nir", **metadata)
    with pytest.raises(LoadError, match=rf"node 'q' \(extension quadratic\): {message}"):
        read_network(path)


@pytest.mark.usefixtures("quadratic")
def test_only_a_neuron_holds_the_place_of_a_neuron_and_the_advice_names_it(tmp_path: Path):
    path = held(tmp_path / "q.nir", nir.Linear(np.eye(2)), speed=1.0, bend=1.0)
    with pytest.raises(LoadError, match="'quadratic' in a node of type Linear") as told:
        read_network(path)
    assert told.value.fix.startswith("write it as a CubaLIF")


@pytest.mark.usefixtures("quadratic")
def test_the_name_of_an_extension_is_no_type_of_nir(tmp_path: Path):
    import h5py

    path = held(tmp_path / "q.nir", speed=1.0, bend=1.0)
    with h5py.File(path, "r+") as file:
        del file["node/nodes/q/type"], file["node/nodes/q/metadata"]
        file["node/nodes/q/type"] = "Quadratic"
    with pytest.raises(LoadError, match="node 'q' has the unknown type 'Quadratic'"):
        read_network(path)


def test_a_placeholder_that_nir_does_not_have_is_refused(
    quadratic: type, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    net = read_network(held(tmp_path / "q.nir", speed=1.0, bend=1.0))
    monkeypatch.setattr(quadratic, "placeholder", "Linear")
    with pytest.raises(GraphError, match="quadratic has the placeholder Linear"):
        write_network(net, tmp_path / "out.nir")
    assert not (tmp_path / "out.nir").exists()
