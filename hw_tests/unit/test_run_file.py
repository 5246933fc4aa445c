"""`spikeport run` writes what every Output shows, whoever makes it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import spikeport as sp
from spikeport.cli.app import app
from spikeport.compiler.network import Delay, Flatten, Input, Linear, Network, Output
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons.if_ import If

STEPS = 12


@pytest.fixture
def files(tmp_path):
    """A neuron with three outputs: its spikes, its spikes two steps later, and their sum."""
    ones = np.ones(4)
    nodes = {
        "in": Input((2, 2)), "flat": Flatten(0, -1), "n": If(1e3 * ones, 1.5 * ones, 0 * ones),
        "late": Delay(np.full(4, 2e-3)), "sum": Linear(np.ones((1, 4))),
        "spikes": Output((4,)), "later": Output((4,)), "total": Output((1,)),
    }  # fmt: skip
    edges = (
        ("in", "flat"), ("flat", "n"), ("n", "spikes"), ("n", "late"), ("late", "later"),
        ("n", "sum"), ("sum", "total"),
    )  # fmt: skip
    sp.write(Network(nodes, edges, Semantics(dt=1e-3, dialect="nir")), tmp_path / "net.nir")
    x = (np.random.default_rng(0).random((2, STEPS, 2, 2)) < 0.6).astype(np.uint8)
    np.savez(tmp_path / "in.npz", x=x)
    return tmp_path


def ran(files, backend, *more):
    out = files / f"{backend}.npz"
    typed = ["run", files / "net.nir", "--backend", backend, "--input", files / "in.npz"]
    result = CliRunner().invoke(app, [*map(str, typed), "--out", str(out), "--json", *more])
    assert result.exit_code == 0, result.output
    with np.load(out) as arrays:
        return json.loads(result.stdout), dict(arrays)


def test_outputs_that_no_neuron_makes_are_written(files):
    plain, arrays = ran(files, "reference")
    assert set(arrays) == {"n", "later", "total.v"}
    assert plain["analog"] == ["total"]
    assert (arrays["later"][:, 2:] == arrays["n"][:, :-2]).all()
    assert (arrays["total.v"][..., 0] == arrays["n"].sum(axis=2)).all()
    assert arrays["n"].any()


def test_the_chip_writes_the_same_at_the_inputs_time(files):
    _, ideal = ran(files, "reference")
    plain, chip = ran(files, "emulator")
    assert (chip["n"] == ideal["n"]).all()
    assert (chip["later"] == ideal["later"]).all()
    assert chip["total.v"].dtype.kind == "i"
    counted = {name: row["spikes"] for name, row in plain["populations"].items()}
    assert counted == {name: int(chip[name].sum()) for name in ("n", "later")}


def test_an_output_can_be_probed_by_its_name(files):
    _, arrays = ran(files, "reference", "--probe", "later.v")
    assert "later.v" in arrays
