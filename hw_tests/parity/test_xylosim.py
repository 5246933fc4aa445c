"""Our integers against running xylosim 0.1.3: every current, voltage and spike of every step.

xylosim runs in an interpreter of its own: SPIKEPORT_XYLOSIM_PYTHON, or this one if it has
xylosim. It comes as sources that are compiled on installation.
"""

from __future__ import annotations

import importlib.util
import os
import sys

import numpy as np
import pytest

import spikeport as sp
from hw_tests.xylo_models import compiled, cuba, integrator, lif, net_of, spikes, with_delay
from hw_tests.xylo_networks import ask, differences, draw, of_image

NETWORKS = 240


@pytest.fixture(scope="module")
def python() -> str:
    """The interpreter that has xylosim; skips without one, fails if one is required."""
    given = os.environ.get("SPIKEPORT_XYLOSIM_PYTHON", "")
    here = sys.executable if importlib.util.find_spec("xylosim") else ""
    if not (given or here):
        reason = "no interpreter with xylosim: set SPIKEPORT_XYLOSIM_PYTHON"
        if "xylosim" in os.environ.get("SPIKEPORT_REQUIRE", ""):
            pytest.fail(reason)
        pytest.skip(reason)
    return given or here


@pytest.fixture(scope="module")
def asked_and_answered(python, tmp_path_factory):
    networks = [draw(seed) for seed in range(NETWORKS)]
    return networks, ask(python, networks, tmp_path_factory.mktemp("xylosim"))


def test_random_networks_are_equal_to_xylosim_in_every_cell(asked_and_answered):
    networks, answers = asked_and_answered
    assert len(answers) == NETWORKS
    wrong = {
        seed: found
        for seed, (network, answer) in enumerate(zip(networks, answers, strict=True))
        if (found := differences(network, answer))
    }
    assert not wrong


def test_the_random_networks_reach_every_limit(asked_and_answered):
    _, answers = asked_and_answered
    together = {key: np.concatenate([each[key].ravel() for each in answers]) for key in answers[0]}
    assert together["spikes"].max() == 31
    assert together["spikes_out"].max() == 1
    assert (together["u"].min(), together["u"].max()) == (-32767, 32766)  # after the decay
    assert (together["v"].min(), together["v"].max()) == (-32768, 32767 - 31)
    assert np.count_nonzero(together["spikes"]) > 10_000


COMPILED = {
    "two layers": net_of,
    "biases": lambda: net_of(hidden=cuba(60, v_leak=0.4), readout=cuba(8, v_leak=0.3, theta=2.0)),
    "relays": lambda: with_delay(3),
    "echoes": lambda: net_of(hidden=lif(60, 0.5), readout=integrator(8, 1.0)),
}


@pytest.mark.parametrize("kind", COMPILED)
def test_a_compiled_network_is_equal_to_xylosim_by_the_numbers_of_its_image(python, kind, tmp_path):
    x = spikes(samples=3, most=3)
    image = compiled(COMPILED[kind](), x)
    program, plan = image.program, image.plan
    probe = [f"{name}.{variable}" for name in program.neurons for variable in ("u", "v")]
    traces = sp.run(image, x, probe=probe, kind="counts")
    answers = ask(python, [of_image(image, each, traces.steps) for each in x], tmp_path)
    numbers = {name: (where, "") for name, where in plan.hidden.items()}
    for name, at in plan.readouts.items():
        numbers[name] = np.arange(at, at + program.populations[name].size), "_out"
    for sample, answer in enumerate(answers):
        for name, (where, end) in numbers.items():
            sent = traces.spikes[name].dense()[sample]
            assert np.array_equal(sent, answer["spikes" + end][:, where]), name
            for variable in "uv":
                ours = traces.probes[f"{name}.{variable}"][sample]
                assert np.array_equal(ours, answer[variable + end][:, where]), name
    assert sum(int(answer["spikes_out"].sum()) for answer in answers) > 100
