"""Random networks on small chips are placed as the verifier wants it, or refused with good advice.

A sample of what `python -m hw_tests.fuzz_place` tries. Following the advice means doing what its
words and numbers say (`place_advice.py`), nothing more.
"""

from __future__ import annotations

import pytest

from hw_tests.fuzz_place import try_networks
from hw_tests.place_networks import DRAW

SAMPLE = range(60)
#: Chips with more than one core, or more than one layer a network.
SEVERAL = ("loihi1", "generic_graded", "truenorth", "speck2f")


@pytest.mark.parametrize("chip", DRAW)
def test_random_networks_are_placed_and_verified_at_once_or_after_the_advice(chip: str):
    tried = try_networks(SAMPLE, chip)
    assert {each.seed: each.trouble for each in tried if each.trouble} == {}
    at_once = sum(each.rounds == 0 for each in tried)
    assert 10 < at_once < len(tried) - 3, "too few fitted at once, or too few were refused"
    several = sum(each.cores > 1 for each in tried)
    assert several > (20 if chip in SEVERAL else -1)


def test_a_seed_draws_one_network():
    first, second = (try_networks([7], "xylo_audio3")[0] for _ in range(2))
    assert (first.limits, first.cores, first.synapses) == (
        second.limits,
        second.cores,
        second.synapses,
    )
