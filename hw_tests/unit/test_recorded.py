"""Recordings in a file: which arrays are spikes, and how they lie."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spikeport.cli.recorded import Recording, are_spikes, fitted, input_origin, transposed
from spikeport.compiler.errors import DataError


def test_a_transposed_recording_is_recognised_and_a_square_one_is_not():
    shape = (1, 60, 8)
    assert transposed(np.zeros((8, 60)), shape)
    assert transposed(np.zeros((1, 8, 60)), shape)
    assert not transposed(np.zeros((60, 8)), shape)
    assert not transposed(np.zeros((8, 8)), (1, 8, 8))
    assert not transposed(np.zeros((9, 60)), shape)


@pytest.mark.parametrize(
    "given", [(60, 8), (1, 60, 8), (60, 2, 4), (1, 60, 2, 4)], ids=lambda shape: str(len(shape))
)
def test_a_recording_fits_with_and_without_its_sample(given):
    assert fitted(np.ones(given), (1, 60, 2, 4), "k", "f").shape == (1, 60, 8)


@pytest.mark.parametrize("wrong", [-1.0, 0.5, np.nan])
def test_what_is_no_count_of_spikes_is_refused(wrong):
    raster = np.zeros((60, 8))
    raster[3, 2] = wrong
    with pytest.raises(DataError, match="does not hold whole numbers from 0"):
        fitted(raster, (1, 60, 8), "k", "f")


def test_a_recording_that_lies_across_is_refused_with_advice():
    with pytest.raises(DataError, match="has the shape") as caught:
        fitted(np.zeros((8, 60)), (1, 60, 8), "k", "f")
    assert "swap its last two axes" in caught.value.fix


def test_whole_numbers_from_zero_are_spikes():
    assert are_spikes(np.array([0.0, 1.0, 3.0]))
    assert not are_spikes(np.array([0.5]))
    assert not are_spikes(np.array([-1]))
    assert not are_spikes(np.array(["a"]))


def test_an_input_that_was_made_from_a_recording_says_so_or_is_told(tmp_path):
    raster = np.eye(3)
    arrays = {"snntorch": raster, "spyx": 1 - raster}
    nobody = Recording(tmp_path / "rec.npz", node="lif")
    assert input_origin(nobody, arrays, {"published_snntorch_lif": raster}) == "snntorch"
    assert input_origin(nobody, arrays, {"published_snntorch_lif": 1 - raster}) is None
    assert input_origin(nobody, arrays, {"lif": raster}) is None
    told = replace(nobody, input_from="spyx")
    assert input_origin(told, arrays, {}) == "spyx"
    with pytest.raises(DataError, match="has no array 'norse'"):
        input_origin(replace(nobody, input_from="norse"), arrays, {})
