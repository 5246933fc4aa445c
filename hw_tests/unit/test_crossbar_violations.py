"""What does not fit on crossbars: all of it at once, and every piece of advice works."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from hw_tests.crossbar_programs import changed, program
from spikeport.compiler.check import check
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import FitError
from spikeport.compiler.place.crossbar import crossbar
from spikeport.compiler.place.place import place
from spikeport.compiler.program import Program

TRUENORTH = sp.chip("truenorth")
ODIN = sp.chip("odin")
BRAINSCALES = sp.chip("brainscales2")


def full(post: int, pre: int, weight: int = 1) -> Any:
    return np.full((post, pre), weight)


def violations_of(net: Program, chip: Chip, chips: int = 1) -> list[str]:
    """Return what is wrong with a program, one sentence each."""
    with pytest.raises(FitError) as caught:
        place(net, chip, chips)
    return list(caught.value.violations)


def numbers(text: str) -> list[int]:
    return [int(each) for each in re.findall(r"(?<![\w-])\d+", text.rpartition(": ")[2])]


@pytest.mark.parametrize("chip", [TRUENORTH, BRAINSCALES], ids=["truenorth", "brainscales2"])
def test_a_neuron_with_too_many_inputs_is_told_how_many_it_may_keep(chip: Chip):
    net = program(chip, {"in": 300, "a": 3}, ("in", "a", full(3, 300)))
    assert violations_of(net, chip) == [
        "neuron 0 of 'a' (and 2 others of it) needs 300 axons, the limit is 256: "
        "keep at most 256 of its 300 inputs"
    ]
    most = numbers(violations_of(net, chip)[0])[0]
    place(program(chip, {"in": most, "a": 3}, ("in", "a", full(3, most))), chip)


def test_a_neuron_of_both_signs_may_keep_as_many_inputs_as_another_on_truenorth():
    """A weight of -1, 0 or 1 takes one axon: of the type of its sign."""
    weights = np.where(np.arange(300) % 2, 1, -1)[None]
    net = program(TRUENORTH, {"in": 300, "a": 1}, ("in", "a", weights))
    most = numbers(violations_of(net, TRUENORTH)[0])[0]
    assert most == 256
    place(program(TRUENORTH, {"in": most, "a": 1}, ("in", "a", weights[:, :most])), TRUENORTH)


def test_weights_that_four_types_do_not_make_are_refused_with_those_that_they_do():
    weights = np.array([[1, 2, 3, 5, 7, 11, 13, 17, 19]])
    net = program(TRUENORTH, {"in": 9, "a": 1}, ("in", "a", weights))
    (said,) = violations_of(net, TRUENORTH)
    assert said.startswith("neuron 0 of 'a' needs 9 weights that its axon types do not make")
    low, high = (int(each) for each in re.findall(r"-?\d+", said.rpartition("from")[2]))
    mended = np.clip(weights, low, high) * 5
    place(program(TRUENORTH, {"in": 9, "a": 1}, ("in", "a", mended)), TRUENORTH)


def test_a_delay_above_the_longest_is_refused():
    net = program(TRUENORTH, {"in": 1, "a": 1, "b": 1}, ("in", "a", full(1, 1)),
                  ("a", "b", full(1, 1)))  # fmt: skip

    def late(steps: int) -> Program:
        return replace(net, synapses=(net.synapses[0], replace(net.synapses[1], delay_steps=steps)))

    (said,) = violations_of(late(16), TRUENORTH)
    assert said == "'a-b-1' needs 16 steps of delay, the limit is 15: delay it by 15 at most"
    place(late(numbers(said)[0]), TRUENORTH)


def test_too_many_cores_are_met_by_more_chips_where_these_can_be_linked():
    chip = changed(TRUENORTH, cores=2)
    net = program(chip, {"in": 256, "a": 1000}, ("in", "a", full(1000, 256)))
    (said,) = violations_of(net, chip)
    assert said == "network needs 4 cores, the limit is 2: --chips 2"
    assert len(place(net, chip, 2).cores) == 4
    alone = chip.model_copy(update={"topology": chip.topology.model_copy(update={"chips": None})})
    (said,) = violations_of(net, alone)
    assert said == "network needs 1000 neurons, the limit is 512: use at most 512 neurons"
    small = program(chip, {"in": 256, "a": 512}, ("in", "a", full(512, 256)))
    assert len(place(small, alone).cores) == 2


def test_a_neuron_with_too_many_copies_is_told_to_be_later():
    chip = changed(TRUENORTH, neurons=8)
    hurry = program(chip, {"in": 1, "a": 3, "b": 80}, ("in", "a", full(3, 1)),
                    ("a", "b", full(80, 3)))  # fmt: skip
    (said,) = violations_of(hurry, chip)
    assert said == (
        "neuron 0 of 'a' (and 2 others of it) needs 10 columns (copies that reach their axons one "
        "step after a spike), the limit is 8: delay what it sends by one step more, so that "
        "splitters can repeat it"
    )
    later = (hurry.synapses[0], replace(hurry.synapses[1], delay_steps=2))
    image = place(replace(hurry, synapses=later), chip)
    assert image.resources["splitters"] == 30


def test_copies_that_grow_from_round_to_round_are_refused_and_later_spikes_fit(monkeypatch):
    monkeypatch.setattr(crossbar, "ROUNDS", 1)  # after so many rounds it counts as endless
    chip = changed(TRUENORTH, neurons=8)
    hurry = program(chip, {"in": 1, "a": 3, "b": 40}, ("in", "a", full(3, 1)),
                    ("a", "b", full(40, 3)))  # fmt: skip
    (said,) = violations_of(hurry, chip)
    assert "delay what these neurons send by one step more" in said
    later = (hurry.synapses[0], replace(hurry.synapses[1], delay_steps=2))
    place(replace(hurry, synapses=later), chip)


def test_all_violations_are_told_at_once():
    net = program(
        TRUENORTH, {"in": 300, "a": 2, "b": 1, "c": 1}, ("in", "a", full(2, 300)),
        ("in", "b", np.array([[1, 2, 3, 5, 7, 11, 13, 17, 19] + [0] * 291])),
        ("b", "c", full(1, 1)),
    )  # fmt: skip
    late = replace(net, synapses=(*net.synapses[:2], replace(net.synapses[2], delay_steps=99)))
    said = violations_of(late, TRUENORTH)
    assert [re.search(r"\d+ (\w+)", each.partition("needs")[2])[1] for each in said] == [
        "steps", "weights", "axons",
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_following_the_advice_makes_any_network_fit_odin(seed: int):
    rng = np.random.default_rng(seed)
    sizes = {name: int(rng.choice([20, 60, 100, 150, 300])) for name in ("in", "a", "b")}
    signs = rng.random() < 0.6

    def made() -> Program:
        def matrix(pre: str, post: str) -> Any:
            draw = np.random.default_rng(seed).integers(-3 if signs else 0, 4, (400, 400))
            return draw[: sizes[post], : sizes[pre]]

        edges = (("in", "a"), ("a", "b"), ("b", "b"))
        return program(ODIN, sizes, *((*pair, matrix(*pair)) for pair in edges))

    try:
        check(place(made(), ODIN), after="place")
    except FitError as error:
        for said in error.violations:  # once, and all of them
            if "input" in said:
                sizes["in"] = min(sizes["in"], numbers(said)[0])
            neurons = numbers(said)[-1]
            sizes["a"] = max(1, min(sizes["a"], neurons // 2))
            sizes["b"] = min(sizes["b"], neurons - sizes["a"])
        check(place(made(), ODIN), after="place")


def test_odin_counts_the_copies_of_neurons_that_send_with_both_signs():
    weights = np.where(np.arange(200) % 2, 1, -1) * np.ones((200, 1), int)
    net = program(ODIN, {"in": 1, "a": 200}, ("in", "a", full(200, 1)), ("a", "a", weights.T))
    assert violations_of(net, ODIN) == [
        "network needs 400 neurons (copies included), the limit is 256: use at most 128 neurons",
        "network needs 401 rows, the limit is 256: use at most 1 input and 127 neurons",
    ]


def test_following_the_advice_makes_a_network_fit_brainscales():
    rng = np.random.default_rng(0)
    weights = rng.integers(-3, 4, (500, 250))
    net = program(BRAINSCALES, {"in": 250, "a": 500}, ("in", "a", weights))
    (said,) = violations_of(net, BRAINSCALES)
    assert said.endswith("let its neurons read at most 128 inputs and neurons in all")
    most = numbers(said)[0]
    place(program(BRAINSCALES, {"in": most, "a": 500}, ("in", "a", weights[:, :most])), BRAINSCALES)
    many = program(BRAINSCALES, {"in": 9, "a": 600}, ("in", "a", full(600, 9)))
    (said,) = violations_of(many, BRAINSCALES)
    assert said == "network needs 600 neurons, the limit is 512: use at most 512 neurons"


def test_two_paths_whose_weights_no_crossing_holds_are_refused_and_one_fits():
    two = program(ODIN, {"in": 1, "a": 1}, *[("in", "a", full(1, 1, 5))] * 2)
    (said,) = violations_of(two, ODIN)
    assert said == (
        "a synapse of neuron 0 of 'a' needs 10 units of weight, the limit is 7: "
        "join the paths that lead from one source to it into one"
    )
    place(program(ODIN, {"in": 1, "a": 1}, ("in", "a", full(1, 1, 7))), ODIN)
