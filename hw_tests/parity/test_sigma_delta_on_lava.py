"""The sigma-delta neuron against Lava's own SigmaDelta process: every message, bit for bit."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from spikeport.compiler.program import Arithmetic
from spikeport.compiler.semantics import Semantics
from spikeport.models.neurons import sigma_delta
from spikeport.models.neurons.sigma_delta import IntegerSigmaDelta, SigmaDelta

Array = np.ndarray[Any, Any]
N, STEPS = 6, 60
CASES = {"low": (7, 3), "high": (60, -20), "ties": (8, 0)}  # threshold, bias
PLAIN = Arithmetic("saturate", state_bits=32, weight_shift=0)

SCRIPT = """
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava.proc.io.sink import RingBuffer as Sink
from lava.proc.io.source import RingBuffer as Source
from lava.proc.sdn.process import ActivationMode, SigmaDelta

given = dict(np.load("in.npz"))
found = {}
for model in ("fixed_pt", "floating_pt"):
    for case in ("low", "high", "ties"):
        x, theta, bias = (given[case + name] for name in ("x", "theta", "bias"))
        size, steps = x.shape
        source, sink = Source(data=x), Sink(shape=(size,), buffer=steps)
        neurons = SigmaDelta(
            shape=(size,), vth=int(theta), bias=bias, act_mode=ActivationMode.RELU
        )
        source.s_out.connect(neurons.a_in)
        neurons.s_out.connect(sink.a_in)
        neurons.run(condition=RunSteps(steps), run_cfg=Loihi2SimCfg(select_tag=model))
        found[case + model] = sink.data.get()
        neurons.stop()
np.savez("out.npz", **found)
"""


@pytest.fixture(scope="module")
def told() -> dict[str, Array]:
    rng = np.random.default_rng(0)
    given = {}
    for name, (theta, bias) in CASES.items():
        x = (
            4 * rng.integers(-12, 15, (N, STEPS))
            if name == "ties"
            else rng.integers(-40, 50, (N, STEPS))
        )
        given |= {f"{name}x": x, f"{name}theta": theta, f"{name}bias": np.full(N, bias)}
    return {name: np.asarray(value, np.int32) for name, value in given.items()}


@pytest.fixture(scope="module")
def lavas(
    lava: ModuleType, told: dict[str, Array], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Array]:
    """What Lava's fixed-point and floating-point models send, (N, STEPS) by case and model."""
    from spikeport.backends.lava.environment import find_python

    folder: Path = tmp_path_factory.mktemp("lava")
    np.savez(folder / "in.npz", **told)
    command = [find_python(), "-c", SCRIPT]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    return dict(np.load(folder / "out.npz"))


@pytest.mark.parametrize("case", CASES)
def test_integers_send_what_lavas_fixed_point_model_sends(
    case: str, told: dict[str, Array], lavas: dict[str, Array]
):
    theta, bias = CASES[case]
    cell = IntegerSigmaDelta(np.full(N, theta), np.full(N, bias), "greater_equal", message_bits=24)
    state, nothing = sigma_delta.start_integer(cell, 1), np.zeros(N, np.int64)
    rows = told[f"{case}x"].T[:, None].astype(np.int64)
    sent = [sigma_delta.step_integer(cell, PLAIN, state, row, nothing)[0][0] for row in rows]
    assert np.array_equal(np.transpose(sent), lavas[f"{case}fixed_pt"])
    assert 0.05 < np.count_nonzero(sent) / np.size(sent) < 0.95


@pytest.mark.parametrize("case", CASES)
def test_floats_send_what_lavas_floating_point_model_sends(
    case: str, told: dict[str, Array], lavas: dict[str, Array]
):
    theta, bias = CASES[case]
    neurons = SigmaDelta(np.full(N, float(theta)), np.full(N, float(bias)))
    cell = neurons.clock(Semantics(threshold="greater_equal"), 1e-3)
    state = sigma_delta.start(cell, 1)
    sent = [sigma_delta.step(cell, state, row)[0] for row in told[f"{case}x"].T[:, None]]
    assert np.array_equal(np.transpose(sent), lavas[f"{case}floating_pt"])
