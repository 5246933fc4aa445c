"""The emulator against a recording of xylosim 0.1.3, core v2, by record_xylosim.py.

u[t] and v[t] are the synaptic current and the voltage at the end of step t, after decay and
reset; a hidden spike of step t reaches other neurons in step t + 1, an input in its own step.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hw_tests.xylo_networks import differences, read

FOLDER = Path(__file__).with_name("xylosim")


@pytest.fixture(scope="module")
def recording():
    networks, answers = read(FOLDER / "networks.npz"), read(FOLDER / "answers.npz")
    return list(zip(networks, answers, strict=True))


def test_the_emulator_equals_the_recording_in_every_cell(recording):
    wrong = {
        number: found
        for number, (network, answer) in enumerate(recording)
        if (found := differences(network, answer))
    }
    assert not wrong


def test_the_recording_reaches_every_limit(recording):
    answers = [answer for _, answer in recording]
    together = {key: np.concatenate([each[key].ravel() for each in answers]) for key in answers[0]}
    assert len(answers) >= 30
    assert together["spikes"].max() == 31
    assert together["spikes_out"].max() == 1
    assert (together["u"].min(), together["u"].max()) == (-32767, 32766)  # after the decay
    assert together["v"].min() == -32768


def test_the_order_of_the_events_of_a_step_decides_in_the_recording(recording):
    network, answer = recording[0]
    assert network["input"][0].tolist() == [3, 3]
    assert network["w_in"].ravel().tolist() == [127, -127]  # the sum of them all is zero
    assert answer["u"][0].item() == -32767
