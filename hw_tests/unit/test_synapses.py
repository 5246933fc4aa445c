"""Weights in few bytes: every value comes back, whatever type and step it is kept in."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp

from spikeport.compiler.check import weights_fit_their_bits
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.program import Program, Synapses

FORMS = {"dense": np.asarray, "CSR": sp.csr_array, "COO": sp.coo_array, "matrix": sp.csr_matrix}


def synapses(mantissa: object) -> Synapses:
    return Synapses.of("fc", "in", "n", mantissa, 3, "mixed", delay_steps=2)


def dense(matrix: object) -> np.ndarray:
    return matrix.toarray() if sp.issparse(matrix) else np.asarray(matrix)


@pytest.fixture(params=FORMS)
def form(request):
    return FORMS[request.param]


def test_every_weight_from_minus_256_to_255_comes_back(form):
    weights = np.arange(-256, 256, dtype=np.int32).reshape(16, 32)
    made = synapses(form(weights))
    assert np.array_equal(dense(made.mantissa), weights)
    assert (made.stored.dtype, made.mantissa.dtype, made.step) == (np.int16, np.int32, 1)


def test_mixed_weights_of_8_bits_are_even_and_take_one_byte(form):
    weights = np.arange(-256, 256, 2, dtype=np.int32).reshape(16, 16)
    made = synapses(form(weights))
    assert np.array_equal(dense(made.mantissa), weights)
    assert (made.stored.dtype, made.step) == (np.int8, 2)


@pytest.mark.parametrize(
    ("weights", "kind", "step"),
    [
        ([127, -128], np.int8, 1),
        ([128, 1], np.int16, 1),
        ([-129, 1], np.int16, 1),
        ([32768, 1], np.int32, 1),
        ([12, 40], np.int8, 4),
        ([-(1 << 31), 1 << 30], np.int8, 1 << 30),
        ([(1 << 31) - 1, -(1 << 31)], np.int32, 1),
        ([0, 0], np.int8, 1),
    ],
)
def test_the_step_is_the_largest_power_of_two_and_the_type_the_smallest(form, weights, kind, step):
    whole = np.array([weights], np.int32)
    made = synapses(form(whole))
    assert (made.stored.dtype, made.step) == (kind, step)
    assert np.array_equal(dense(made.mantissa), whole)


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 3)])
def test_no_weights_are_no_weights(form, shape):
    made = synapses(form(np.zeros(shape, np.int32)))
    assert (made.stored.dtype, made.step, made.count) == (np.int8, 1, 0)
    assert made.mantissa.shape == made.rows.shape == shape


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.int32])
def test_random_weights_of_each_width_come_back(form, kind):
    rng = np.random.default_rng(1)
    for power in range(np.iinfo(kind).bits - 1):
        weights = rng.integers(np.iinfo(kind).min >> power, np.iinfo(kind).max >> power, (9, 7))
        weights = (weights << power) * (rng.random((9, 7)) < 0.6)
        made = synapses(form(weights.astype(kind)))
        assert np.array_equal(dense(made.mantissa), weights)
        assert np.array_equal(made.rows.toarray(), weights)
        assert made.count == made.rows.nnz == np.count_nonzero(weights)
        values = dense(made.stored).astype(np.int64)
        assert not values.any() or np.bitwise_or.reduce(values, axis=None) & 1
        assert made.step & (made.step - 1) == 0


def test_a_sparse_matrix_is_kept_sorted_without_duplicates_and_zeros():
    where = (np.array([1, 0, 1, 1, 0]), np.array([2, 1, 0, 2, 2]))
    scattered = sp.coo_array((np.array([3, 4, 5, 3, 0], np.int32), where), shape=(2, 3))
    made = synapses(scattered)
    assert made.stored.has_canonical_format
    assert made.stored.indices.dtype == made.stored.indptr.dtype == np.int32
    assert made.stored.indices.tolist() == [1, 0, 2]
    assert made.mantissa.data.tolist() == [4, 5, 6]
    assert scattered.nnz == 5


def test_unsorted_rows_with_wide_indices_are_sorted_in_a_copy():
    parts = (np.array([1, 2, 3], np.int32), np.array([2, 0, 1]), np.array([0, 2, 3]))
    given = sp.csr_array(parts, shape=(2, 3))
    given.indices = given.indices.astype(np.int64)
    made = synapses(given)
    assert (made.stored.indices.dtype, made.stored.indices.tolist()) == (np.int32, [0, 2, 1])
    assert made.mantissa.data.tolist() == [2, 1, 3]
    assert given.indices.tolist() == [2, 0, 1]


def test_a_sparse_synapse_takes_five_bytes_and_a_dense_one_takes_one():
    rng = np.random.default_rng(2)
    weights = 2 * rng.integers(1, 128, (64, 64)).astype(np.int32)
    full, rows = synapses(weights), synapses(sp.csr_array(weights))
    stored = rows.stored
    assert full.stored.nbytes == weights.size
    assert stored.data.nbytes + stored.indices.nbytes == 5 * weights.size
    assert np.shares_memory(rows.mantissa.indices, stored.indices)


def test_a_transposed_matrix_is_kept_in_order_of_rows():
    weights = np.arange(6, dtype=np.int32).reshape(2, 3)
    made = synapses(weights.T)
    assert made.stored.flags.c_contiguous
    assert np.array_equal(made.mantissa, weights.T)


def test_nobody_can_change_the_weights(form):
    made = synapses(form(np.ones((2, 2), np.int32)))
    for matrix in (made.stored, made.mantissa):
        with pytest.raises(ValueError, match="read-only"):
            (matrix.data if sp.issparse(matrix) else matrix)[:] = 1


def test_other_weights_leave_everything_else_as_it_was(form):
    made = synapses(form(np.ones((2, 2), np.int32)))
    other = replace(made, name="other").with_mantissa(form(np.full((2, 2), 300, np.int32)))
    assert (other.name, other.exponent, other.sign_mode, other.delay_steps) == (
        "other",
        3,
        "mixed",
        2,
    )
    assert (dense(other.mantissa) == 300).all()
    assert (dense(made.mantissa) == 1).all()


@pytest.mark.parametrize("kind", [np.float64, np.int64, np.uint8, bool])
def test_weights_of_another_type_are_refused(kind):
    with pytest.raises(LoweringError, match="the weights of 'fc' are not int32"):
        synapses(np.ones((1, 1), kind))
    with pytest.raises(LoweringError, match="the weights of 'fc' are not int32"):
        synapses(np.ones((1, 1), np.int32)).with_mantissa(np.ones((1, 1), kind))
    with pytest.raises(LoweringError, match="the weights of 'fc' are not int32"):
        Synapses("fc", "in", "n", np.ones((1, 1), kind), 1, 0, "mixed")


@pytest.mark.parametrize(
    ("weights", "mode", "said"),
    [
        ([[2, -256]], "mixed", []),
        ([[2, -255]], "mixed", ["a mixed-sign weight of 'fc' is odd"]),
        ([[-258, 0]], "mixed", ["a weight of 'fc' is outside -256 to 255"]),
        ([[256, 0]], "excitatory", ["a weight of 'fc' is outside 0 to 255"]),
        ([[255, 1]], "excitatory", []),
        ([[127, -128]], "signed", []),
        ([[128, -128]], "signed", ["a weight of 'fc' is outside -128 to 127"]),
    ],
)
def test_a_program_is_checked_for_weights_that_a_chip_cannot_hold(form, weights, mode, said):
    made = Synapses.of("fc", "in", "n", form(np.array(weights, np.int32)), 0, mode)
    program = Program(1e-3, {}, (made,), {}, {})
    assert list(weights_fit_their_bits(program)) == said
