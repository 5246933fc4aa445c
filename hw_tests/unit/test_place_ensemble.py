"""One core of inputs, hidden neurons and readouts: what fits, and advice that makes it fit."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from hw_tests.xylo_models import ROCKPOOL, chip, cuba
from spikeport.compiler.errors import FitError, Violation
from spikeport.compiler.image import Image
from spikeport.compiler.network import Delay, Input, Linear, Network, Output
from spikeport.compiler.place.verify.verify import verify

Array = np.ndarray[Any, Any]


def dense(post: int, pre: int, seed: int = 0) -> Linear:
    return Linear(np.random.default_rng(seed).normal(0.02, 0.1, (post, pre)))


def layers(*sizes: int, **more: Any) -> Network:
    """Return inputs, hidden layers and a readout in a row, and `more` nodes and edges."""
    nodes: dict[str, Any] = {"in": Input((sizes[0],))}
    edges = []
    last = "in"
    for number, (pre, post) in enumerate(pairwise(sizes), start=1):
        nodes |= {f"w{number}": dense(post, pre), f"n{number}": cuba(post)}
        edges += [(last, f"w{number}"), (f"w{number}", f"n{number}")]
        last = f"n{number}"
    nodes["out"] = Output((sizes[-1],))
    edges += [(last, "out"), *more.pop("edges", [])]
    return Network({**nodes, **more}, tuple(edges), ROCKPOOL)


def placed(net: Network, name: str = "xylo_audio2") -> Image:
    target = chip().model_copy(update={"core": sp.chip(name).core, "name": name})
    return verify(sp.compile(net, target))


def broken(net: Network, name: str = "xylo_audio2") -> list[Violation]:
    with pytest.raises(FitError) as caught:
        placed(net, name)
    assert all(isinstance(each, Violation) for each in caught.value.found)
    assert len(caught.value.violations) == len(caught.value.found)
    return list(caught.value.found)


def taking_out(violation: Violation, sizes: list[int], at: int) -> Network:
    """Return layers of these sizes without the neurons that the advice takes out of one."""
    over = int(re.search(r"take (\d+) neurons? out of", violation.fix).group(1))
    return layers(*(size - over * (place == at) for place, size in enumerate(sizes)))


# --- what fits -------------------------------------------------------------------------------


def test_every_neuron_and_channel_has_a_number_of_its_own():
    image = placed(layers(16, 60, 40, 8))
    plan = image.plan
    assert plan.channels == {("in", 0): 0}
    assert plan.readouts == {"n3": 0}
    assert plan.hidden["n1"].tolist() == list(range(60))
    assert plan.hidden["n2"].tolist() == list(range(60, 100))
    (use,) = image.cores
    assert use.held["inputs"] == (16, 16)
    assert use.held["hidden"] == (100, 1000)
    assert use.held["outputs"] == (8, 8)
    assert use.synapses == sum(np.count_nonzero(each.mantissa) for each in image.program.synapses)
    assert use.load == 1.0


def test_a_recurrent_hidden_layer_fits():
    back = {"r": dense(30, 30, 1), "edges": [("n1", "r"), ("r", "n1")]}
    image = placed(layers(4, 30, 2, **back))
    assert {(route.pre, route.target_core) for route in image.routes} == {("in", 0), ("n1", 0)}


def test_neurons_that_take_input_come_first_and_those_that_feed_the_readout_last():
    # The layer in the middle stands first in the file.
    net = layers(16, 100, 90, 100, 8)
    order = ["in", "n2", "n1", "n3", "n4"]
    nodes = {name: net.nodes[name] for name in (*order, *net.nodes) if name in net.nodes}
    image = placed(Network(nodes, net.edges, net.semantics), "xylo_audio3")
    hidden = image.plan.hidden
    assert hidden["n1"].max() < hidden["n2"].min()
    assert hidden["n2"].max() < hidden["n3"].min()
    assert image.cores[0].held["hidden_with_input"] == (100, 128)


@pytest.mark.parametrize("extra", [0, 30, 60])
def test_neurons_that_do_both_are_among_the_first_and_among_the_last(extra: int):
    side = {"a": dense(extra, 90), "side": cuba(extra), "edges": [("n1", "a"), ("a", "side")]}
    image = placed(layers(16, 90, 8, **(side if extra else {})), "xylo_audio3")
    both = image.plan.hidden["n1"]
    assert both.max() < 128
    assert both.min() >= 90 + extra - 128


def test_an_input_that_is_read_at_two_delays_takes_channels_for_each():
    net = layers(8, 20, 10, 4, skip=dense(10, 8, 3), edges=[("in", "skip"), ("skip", "n2")])
    image = placed(net)
    assert image.plan.channels == {("in", 0): 0, ("in", 1): 8}
    assert image.cores[0].held["inputs"] == (16, 16)


# --- what does not fit, and the advice -------------------------------------------------------


def test_too_many_inputs_hidden_neurons_and_outputs_are_told_at_once():
    found = broken(layers(17, 1001, 9))
    assert [(each.figure, each.limit) for each in found] == [(17, 16), (1001, 1000), (9, 8)]
    assert [each.object for each in found] == ["in", "n1", "n2"]


def test_an_input_that_is_too_wide_fits_after_it_was_brought_down():
    (violation,) = broken(layers(20, 10, 4))
    assert str(violation).startswith("in needs 20 input channels, the limit is 16: bring it down")
    channels = int(re.search(r"down to (\d+) channels", violation.fix).group(1))
    assert placed(layers(channels, 10, 4))


def test_an_input_that_is_read_twice_fits_without_the_path_that_skips():
    skip = {"skip": dense(10, 12, 3), "edges": [("in", "skip"), ("skip", "n2")]}
    (violation,) = broken(layers(12, 20, 10, 4, **skip))
    assert (violation.figure, violation.limit) == (24, 16)
    assert "let no path skip a layer" in violation.fix
    assert placed(layers(12, 20, 10, 4))


@pytest.mark.parametrize("sizes", [(16, 1020, 8), (16, 600, 500, 8)])
def test_too_many_hidden_neurons_fit_after_some_were_taken_out(sizes: tuple[int, ...]):
    (violation,) = broken(layers(*sizes))
    assert violation.figure == sum(sizes[1:-1])
    name = re.search(r"out of '(n\d)'", violation.fix).group(1)
    assert placed(taking_out(violation, list(sizes), int(name[1:])))


def test_too_many_outputs_fit_after_some_were_taken_out_or_on_another_chip():
    sizes = [16, 30, 12]
    (violation,) = broken(layers(*sizes))
    assert violation.what == "readouts"
    assert placed(taking_out(violation, sizes, 2))
    assert placed(layers(*sizes), "xylo_audio3")


def test_more_neurons_with_input_than_the_chip_expands_fit_behind_a_layer_of_that_many():
    (violation,) = broken(layers(16, 150, 60, 8), "xylo_audio3")
    assert (violation.object, violation.figure, violation.limit) == ("n1", 150, 128)
    most = int(re.search(r"at most (\d+) neurons", violation.fix).group(1))
    assert placed(layers(16, most, 150 - most, 60, 8), "xylo_audio3")


def test_more_neurons_that_feed_the_readout_fit_with_a_layer_between():
    (violation,) = broken(layers(16, 60, 300, 8), "xylo_audio3")
    assert (violation.object, violation.figure, violation.limit) == ("n2", 300, 128)
    most = int(re.search(r"layer of at most (\d+) neurons", violation.fix).group(1))
    assert placed(layers(16, 60, 300, most, 8), "xylo_audio3")


def test_too_many_places_for_neurons_that_do_both_fit_with_a_layer_between():
    def side(size: int) -> Network:
        more = {"a": dense(size, 100), "side": cuba(size), "edges": [("n1", "a"), ("a", "side")]}
        return layers(16, 100, 8, **more)

    (violation,) = broken(side(80), "xylo_audio3")
    assert (violation.figure, violation.limit) == (280, 256)
    fewer = int(re.search(r"use (\d+) fewer", violation.fix).group(1))
    assert placed(side(80 - fewer), "xylo_audio3")
    assert placed(layers(16, 100, 80, 20, 8), "xylo_audio3")


def test_a_readout_that_feeds_back_is_refused_and_fits_as_a_hidden_layer():
    back = {"r": dense(4, 4, 1), "edges": [("n2", "r"), ("r", "n2")]}
    (violation,) = broken(layers(4, 10, 4, **back))
    assert (violation.object, violation.figure, violation.limit) == ("n2", 16, 0)
    assert "put a readout behind it" in violation.fix
    assert placed(layers(4, 10, 4, 4, **back))
    assert placed(layers(4, 10, 4))


def test_a_single_layer_fits_with_a_hidden_one_before_it():
    (violation,) = broken(layers(4, 3))
    assert (violation.object, violation.figure, violation.limit) == ("n1", 12, 0)
    assert "put a hidden layer between" in violation.fix
    assert placed(layers(4, 5, 3))


# --- numbers ---------------------------------------------------------------------------------


def outcome(net: Network, name: str) -> tuple[list[tuple[int, int | None]], bool]:
    """Return (figure, limit) of everything, and whether the network was placed."""
    try:
        image = placed(net, name)
    except FitError as error:
        return [(each.figure, each.limit) for each in error.found], False
    return list(image.cores[0].held.values()), True


@pytest.mark.parametrize("name", ["xylo_audio2", "xylo_audio3", "xylo_imu"])
def test_random_networks_keep_every_limit_or_are_told_which_they_break(name: str):
    rng = np.random.default_rng(1)
    fitted = []
    for _ in range(15):
        sizes = [int(rng.integers(1, 20)), *rng.integers(1, 200, rng.integers(1, 4)).tolist(), 5]
        waiting = {"late": Delay(np.full(sizes[1], 2e-3)), "d": dense(5, sizes[1], 9)}
        edges = [("n1", "late"), ("late", "d"), ("d", f"n{len(sizes) - 1}")]
        more = {**waiting, "edges": edges} if rng.random() < 0.5 else {}
        figures, fits = outcome(layers(*sizes, **more), name)
        fitted.append(fits)
        assert all((limit is None or figure <= limit) == fits for figure, limit in figures)
    assert 0 < sum(fitted) < len(fitted)
