"""Weights times a gain, block by block, are the product that nobody makes."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp

from spikeport.compiler.quantize.scaled import BLOCK, Scaled

SHAPES = [(1, 1), (7, 5), (0, 4), (4, 0), (300, 700), (3, 2 * BLOCK), (2 * BLOCK, 1)]
FORMS = {"dense": np.asarray, "transposed": lambda m: np.asarray(m, order="F"), "CSR": sp.csr_array}


def weights(shape: tuple[int, int], seed: int = 3) -> np.ndarray:
    """Return weights of which half are zero, with rows that are empty."""
    rng = np.random.default_rng(seed)
    made = rng.normal(0.1, 1, shape) * (rng.random(shape) < 0.5)
    made[1::3] = 0
    return made


def gains(rows: int, alike: bool) -> np.ndarray:
    return np.full(rows, -0.3) if alike else np.random.default_rng(4).normal(0, 1, rows)


def stored(matrix: object) -> np.ndarray:
    return matrix.data if sp.issparse(matrix) else np.asarray(matrix).ravel()


@pytest.fixture(params=SHAPES, ids=str)
def whole(request):
    return weights(request.param)


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


@pytest.mark.parametrize("alike", [True, False], ids=["one gain", "a gain per row"])
@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_all_blocks_together_are_the_matrix_times_the_gain(whole, form, kind, alike):
    whole = whole.astype(kind)
    gain = gains(len(whole), alike)
    scaled = Scaled(form(whole), gain)
    product = whole.astype(np.float64) * gain[:, None]
    wanted = stored(product if not sp.issparse(scaled.matrix) else product[whole != 0])
    found = np.full(scaled.size, np.nan)
    rows = 0
    for part, at, values in scaled.blocks():
        assert part.start == rows
        rows = part.stop
        found[at] = values.ravel()
    assert rows == len(whole)
    assert np.array_equal(found, wanted)
    assert np.array_equal(scaled.first(1000), wanted[:1000])
    assert np.array_equal(scaled.first(BLOCK + 1), wanted[: BLOCK + 1])


@pytest.mark.parametrize("alike", [True, False], ids=["one gain", "a gain per row"])
def test_extent_and_row_sums_are_those_of_the_product(whole, form, alike):
    gain = gains(len(whole), alike)
    scaled = Scaled(form(whole), gain)
    product = whole * gain[:, None]
    values = product[whole != 0] if sp.issparse(scaled.matrix) else product
    low, high = (values.min(), values.max()) if values.size else (0, 0)
    assert scaled.extent.tolist() == [low, high]
    assert scaled.largest == np.abs(values).max(initial=0)
    sums, counts = scaled.row_sums()
    assert np.array_equal(counts, np.count_nonzero(product, axis=1))
    np.testing.assert_allclose(sums, np.abs(product).sum(axis=1), rtol=1e-12)  # another order


def test_a_gain_of_zero_leaves_weights_that_do_not_count():
    scaled = Scaled(sp.csr_array(np.array([[1.0, 2.0], [0.0, -3.0]])), np.array([0.0, 2.0]))
    sums, counts = scaled.row_sums()
    assert (sums.tolist(), counts.tolist()) == ([0, 6], [0, 1])
    assert scaled.extent.tolist() == [-6, 0]


@pytest.mark.parametrize("alike", [True, False], ids=["one gain", "a gain per row"])
def test_a_large_matrix_is_never_there_twice(form, alike):
    rows = 2000
    scaled = Scaled(form(weights((rows, 1000))), gains(rows, alike))
    tracemalloc.start()
    try:
        assert scaled.largest > 0
        scaled.row_sums()
        scaled.first(BLOCK)
        assert tracemalloc.get_traced_memory()[1] < 8 * 8 * BLOCK < 8 * scaled.size
    finally:
        tracemalloc.stop()
