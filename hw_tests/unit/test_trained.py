"""What a network carries of its training for a chip: written, read, refused where it is damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

import spikeport as sp
from spikeport.compiler.errors import LoadError
from spikeport.compiler.network import Affine, Input, Network, Output
from spikeport.compiler.semantics import Semantics
from spikeport.compiler.trained import KEY, Trained, from_metadata, to_metadata
from spikeport.models.neurons.lif import Lif

SCALES = np.array([100.0, 100.0, 1 / 3, 250.5])
GOOD = {"chip": "loihi1", "weights": "8", "scale.x": "100.0*2 7.5*2"}


def network(trained: Trained | None) -> Network:
    ones = np.ones(4)
    weight = np.random.default_rng(0).normal(0, 0.5, (4, 3))
    nodes = {
        "input": Input((3,)),
        "fc": Affine(weight, 0.1 * ones),
        "x": Lif(5e-3 * ones, ones, 0 * ones, ones, 0 * ones),
        "out": Output((4,)),
    }
    edges = (("input", "fc"), ("fc", "x"), ("x", "out"))
    return Network(nodes, edges, Semantics(dt=1e-3, dialect="nir"), trained=trained)


def test_scales_come_back_from_text_to_the_last_bit():
    text = to_metadata(Trained("loihi1", {"x": SCALES}, "4"))
    back = from_metadata(text, {"x": 4})
    assert (back.chip, back.weights) == ("loihi1", "4")
    assert back.scales["x"].tolist() == SCALES.tolist()


def test_a_file_keeps_them_and_nir_reads_it(tmp_path: Path):
    sp.write(network(Trained("loihi1", {"x": SCALES}, "8")), tmp_path / "net.nir")
    assert sp.load(tmp_path / "net.nir").trained.scales["x"].tolist() == SCALES.tolist()
    nir.write(tmp_path / "again.nir", nir.read(tmp_path / "net.nir"))
    assert sp.load(tmp_path / "again.nir").trained.scales["x"].tolist() == SCALES.tolist()


def test_the_quantizer_takes_them_on_that_chip_only():
    net = network(Trained("loihi1", {"x": np.full(4, 321.0)}, "4"))
    there = sp.compile(net, "loihi1").program
    assert set(there.populations["x"].scale.tolist()) == {321.0 * 64}
    assert {each.weight_bits for each in there.synapses} == {4}
    elsewhere = sp.compile(net, "generic_graded").program
    plain = sp.compile(network(None), "generic_graded").program
    assert elsewhere.populations["x"].scale.tolist() == plain.populations["x"].scale.tolist()


def test_other_semantics_of_a_step_keep_them():
    net = network(Trained("loihi1", {"x": SCALES}, "8"))
    assert net.with_semantics(replace(net.semantics, dt=2e-3)).trained is net.trained


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scale.x": "1.0*3"}, "not 4 numbers above 0"),
        ({"scale.x": "1.0*1000000000000000000"}, "not 4 numbers above 0"),
        ({"scale.x": "-1.0*4"}, "not 4 numbers above 0"),
        ({"scale.x": "nan*4"}, "not 4 numbers above 0"),
        ({"scale.x": "1e400*4"}, "not 4 numbers above 0"),
        ({"scale.x": "1.0*5 1.0*-1"}, "not 4 numbers above 0"),
        ({"scale.x": ""}, "not 4 numbers above 0"),
        ({"scale.x": "much"}, "holds 'much'"),
        ({"scale.y": "1.0*4"}, "scale of no population"),
        ({"speed": "3"}, "scale of no population"),
        ({"weights": "eight"}, "no way of holding weights"),
        ({"chip": None}, "names no chip"),
    ],
)
def test_damaged_metadata_are_refused(change: dict[str, Any], words: str, tmp_path: Path):
    stored = {key: value for key, value in (GOOD | change).items() if value is not None}
    graph = nir.read(written(tmp_path))
    graph.metadata[KEY] = stored
    nir.write(tmp_path / "bad.nir", graph)
    with pytest.raises(LoadError, match=r"spikeport\.trained") as caught:
        sp.load(tmp_path / "bad.nir")
    assert words in str(caught.value)


def test_metadata_that_are_one_value_are_refused(tmp_path: Path):
    graph = nir.read(written(tmp_path))
    graph.metadata[KEY] = "loihi1"
    nir.write(tmp_path / "bad.nir", graph)
    with pytest.raises(LoadError, match=r"spikeport\.trained"):
        sp.load(tmp_path / "bad.nir")


def written(tmp_path: Path) -> Path:
    sp.write(network(None), tmp_path / "net.nir")
    return tmp_path / "net.nir"
