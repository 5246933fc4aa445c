"""Both engines give the same bits: on random networks, and whatever the order and the threads.

`python -m hw_tests.fuzz_engine` does the same on thousands.
"""

from __future__ import annotations

from collections import Counter

import pytest

from hw_tests.engine_features import WANTED
from hw_tests.fuzz_engine import try_network
from spikeport.backends.emulator.engines import is_built

SEEDS = range(200)
PIECES = [SEEDS[k : k + 20] for k in range(0, len(SEEDS), 20)]

pytestmark = pytest.mark.skipif(not is_built(), reason="the C engine was not built")
met: Counter[str] = Counter()


@pytest.mark.parametrize("seeds", PIECES, ids=lambda seeds: f"{seeds[0]} to {seeds[-1]}")
def test_c_and_numpy_agree_in_every_bit_of_every_step(seeds):
    for seed in seeds:
        tried = try_network(seed)
        met.update(tried.features)
        assert tried.trouble == [], f"seed {seed}"


def test_the_networks_met_every_format_and_rule():
    if met["datapath lava"] < len(SEEDS) // 10:
        pytest.skip("the networks were not run")
    assert [name for name in WANTED if not met[name]] == []
