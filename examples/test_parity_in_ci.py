"""Keep a network in CI: the build fails when the chip loses more accuracy than allowed."""

from pathlib import Path

import pytest

import spikeport.demo

here = Path(spikeport.demo.__file__).parent


@pytest.mark.parity(
    graph=here / "digits.nir", chip="loihi1", data=here / "digits.npz", tolerance="accuracy 0.01"
)
def test_digits_survive_loihi(parity_result):
    assert parity_result["resources"]["cores"] == 1
    assert parity_result["energy"]["joules_per_sample"] < 10e-6
