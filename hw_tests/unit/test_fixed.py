"""The chips' arithmetic rule by rule: at every edge, against Python's integers and other tools."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from spikeport.compiler import fixed

EDGE = 1 << 23
MODES = ("mixed", "excitatory", "inhibitory")
LOW_BITS = {"mixed": 9, "excitatory": 8, "inhibitory": 8}  # less the weight's: what is dropped

whole = some.integers(-(2**31) + 1, 2**31 - 1)


def one(function, value, *rest):
    """Return what a rule makes of one integer."""
    return function(np.array([value]), *rest).tolist()[0]


# --- decay -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "keep", "left"),
    [
        (4096, 1, 1),
        (4095, 1, 0),
        (-4095, 1, 0),  # toward zero: an arithmetic shift would give -1
        (-4096, 1, -1),
        (-4097, 1, -1),
        (1, 4095, 0),  # keep 4095 still loses one
        (-1, 4095, 0),
        (5, 2048, 2),
        (-5, 2048, -2),
        (EDGE, 4096, EDGE),
        (-EDGE, 4096, -EDGE),
        (EDGE - 1, 4095, 8386559),
        (1 - EDGE, 4095, -8386559),
        (EDGE + 1, 4095, 8386560),  # the product has 35 bits
        (2**31 - 1, 4096, 2**31 - 1),
        (1 - 2**31, 4095, -2146959359),
        (12345, 0, 0),
        (-12345, 0, 0),
    ],
)
def test_decay_truncates_toward_zero(state, keep, left):
    assert one(fixed.decay, state, keep) == left


@given(whole, some.integers(0, 4096))
def test_decay_is_brian2_loihis_ceiling_of_the_loss(state, keep):
    loss = -(-abs(state) * (4096 - keep) // 4096)
    assert one(fixed.decay, state, keep) == (abs(state) - loss) * (1 if state > 0 else -1)


# --- overflow --------------------------------------------------------------------------------

LAVA, WRAP, CLIP = "lava", "twos_complement", "saturate"


@pytest.mark.parametrize(
    ("value", "results"),
    [
        (EDGE - 1, {LAVA: EDGE - 1, WRAP: EDGE - 1, CLIP: EDGE - 1}),
        (EDGE, {LAVA: EDGE, WRAP: -EDGE, CLIP: EDGE - 1}),
        (EDGE + 1, {LAVA: 1 - EDGE, WRAP: 1 - EDGE, CLIP: EDGE - 1}),
        (1 - EDGE, {LAVA: 1 - EDGE, WRAP: 1 - EDGE, CLIP: 1 - EDGE}),
        (-EDGE, {LAVA: EDGE, WRAP: -EDGE, CLIP: 1 - EDGE}),
        (-EDGE - 1, {LAVA: EDGE - 1, WRAP: EDGE - 1, CLIP: 1 - EDGE}),
        (2 * EDGE, {LAVA: 0, WRAP: 0, CLIP: EDGE - 1}),
        (-2 * EDGE, {LAVA: 0, WRAP: 0, CLIP: 1 - EDGE}),
        (3 * EDGE, {LAVA: EDGE, WRAP: -EDGE, CLIP: EDGE - 1}),
        (3 * EDGE + 1, {LAVA: EDGE + 1, WRAP: 1 - EDGE, CLIP: EDGE - 1}),  # one period only
        (-3 * EDGE - 1, {LAVA: -EDGE - 1, WRAP: EDGE - 1, CLIP: 1 - EDGE}),
        (2**31 - 1, {LAVA: 2**31 - 1 - 2 * EDGE, WRAP: -1, CLIP: EDGE - 1}),
        (-(2**31), {LAVA: 2 * EDGE - 2**31, WRAP: 0, CLIP: 1 - EDGE}),
        (0, {LAVA: 0, WRAP: 0, CLIP: 0}),
    ],
)
def test_each_overflow_rule_at_the_edges_of_24_bits(value, results):
    assert {name: one(fixed.OVERFLOW[name], value) for name in results} == results
    assert one(fixed.OVERFLOW["unlimited"], value) == value


def test_the_overflow_switch_has_no_other_values():
    assert sorted(fixed.OVERFLOW) == ["lava", "saturate", "twos_complement", "unlimited"]


@pytest.mark.parametrize(
    ("value", "wrapped"),
    [
        (2**31 - 1, 2**31 - 1),
        (2**31, -(2**31)),
        (2**31 + 1, 1 - 2**31),
        (-(2**31), -(2**31)),
        (-(2**31) - 1, 2**31 - 1),
        (2**32, 0),
        (-(2**32), 0),
        (-1, -1),
        (2**40 + 7, 7),
    ],
)
def test_int32_wraps_as_in_c(value, wrapped):
    assert one(fixed.wrap_int32, value) == wrapped
    assert np.array([value]).astype(np.int32).tolist() == [wrapped]  # as NumPy's cast does


@given(some.integers(-(2**50), 2**50), some.integers(2, 40))
def test_wrapping_keeps_the_low_bits_and_only_them(value, bits):
    wrapped = one(fixed.wrap_bits, value, bits)
    assert -(2 ** (bits - 1)) <= wrapped < 2 ** (bits - 1)
    assert (wrapped - value) % 2**bits == 0


@pytest.mark.parametrize("limit", [1, EDGE - 1])
def test_saturation_is_symmetric_and_reaches_the_limit(limit):
    values = np.array([-limit - 1, -limit, 1 - limit, limit - 1, limit, limit + 1])
    kept = [-limit, -limit, 1 - limit, limit - 1, limit, limit]
    assert fixed.saturate(values, limit).tolist() == kept


# --- shifts and weights ----------------------------------------------------------------------


@given(whole, some.integers(-8, 8))
def test_a_negative_exponent_rounds_down(value, exponent):
    factor = 2 ** abs(exponent)
    wanted = value * factor if exponent >= 0 else value // factor
    assert one(fixed.shift, value, exponent) == wanted


def test_shifts_leave_int32_behind():
    assert fixed.shift(np.array([2**20], np.int32), 20).tolist() == [2**40]


def truncated(weight, step, rounding, mode):
    """Return a weight with its low bits removed, in Python's integers."""
    if rounding == "nearest":
        return max(min(round(weight / step) * step, 256 - step), step - 256)
    if rounding == "floor" and mode == "mixed":
        return weight // step * step
    return int(math.copysign(abs(weight) // step * step, weight))


@pytest.mark.parametrize("rounding", ["floor", "zero", "nearest"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bits", range(1, 9))
def test_every_weight_of_every_format_is_truncated_as_stated(mode, bits, rounding):
    low, high = fixed.weight_range(mode)
    weights = np.arange(low, high + 1)
    step = 2 ** (LOW_BITS[mode] - bits)
    kept = fixed.truncate_weights(weights, mode, bits, rounding)
    wanted = [truncated(weight, step, rounding, mode) for weight in weights.tolist()]
    assert kept.tolist() == wanted
    assert not (kept % step).any()
    again = fixed.truncate_weights(kept, mode, bits, rounding)
    assert again.tolist() == kept.tolist()


@pytest.mark.parametrize(
    ("given_", "mode", "bits", "kept"),
    [
        ([300, -300, 39], "mixed", 8, [254, -256, 38]),
        ([300, -300, 39], "mixed", 7, [252, -256, 36]),
        ([0, 300, 40], "excitatory", 8, [0, 255, 40]),
        ([-3, -300], "inhibitory", 7, [-2, -254]),
    ],
)
def test_weights_as_lavas_own_tests_expect_them(given_, mode, bits, kept):
    """Lava 0.10, tests/lava/proc/dense/test_models.py (the last row: read from its source)."""
    clipped = np.clip(given_, *fixed.weight_range(mode))
    assert fixed.truncate_weights(clipped, mode, bits, "floor").tolist() == kept


@pytest.mark.parametrize(
    ("weight", "exponent", "down", "nearest"),
    [
        (3, 0, 192, 192),
        (3, 2, 768, 768),
        (3, -1, 64, 128),  # 1.5
        (-3, -1, -128, -128),
        (5, -1, 128, 128),  # 2.5: ties to even
        (-1, -1, -64, 0),
        (-1, -7, -64, 0),
        (255, -7, 64, 64),  # 2 would not be an 8-bit weight, shifted
        (127, -7, 0, 64),
        (255, 7, 2088960, 2088960),
        (-255, 7, -2088960, -2088960),
        (-256, 7, 64 - 2**21, 64 - 2**21),  # the only weight that the limit clips
        (-256, 6, -(2**20), -(2**20)),
    ],
)
def test_an_exponent_on_each_weight_loses_bits_before_it_is_aligned(
    weight, exponent, down, nearest
):
    for rounding, wanted in {"zero": down, "floor": down, "nearest": nearest}.items():
        assert one(fixed.effective_weights, weight, exponent, rounding) == wanted


@pytest.mark.parametrize(
    ("values", "mode"),
    [
        ([], "excitatory"),
        ([0, 0], "excitatory"),
        ([0, 3], "excitatory"),
        ([-1, 0], "inhibitory"),
        ([-1, 1], "mixed"),
    ],
)
def test_the_sign_mode_follows_from_the_weights(values, mode):
    assert fixed.sign_mode_of(np.array(values, np.int64)) == mode


def test_the_ranges_of_the_sign_modes_are_lavas():
    assert [fixed.weight_range(mode) for mode in MODES] == [(-256, 255), (0, 255), (-255, 0)]


def test_every_rule_answers_in_int64():
    """An int32 result would wrap in the next sum without a word."""
    small = np.array([-7, 7], np.int32)
    answers = {
        "decay": fixed.decay(small, np.array([100, 4096], np.int32)),
        "wrap_int32": fixed.wrap_int32(small),
        "wrap_bits": fixed.wrap_bits(small, 24),
        "saturate": fixed.saturate(small.astype(np.int64)),
        "shift": fixed.shift(small, -1),
        "effective": fixed.effective_weights(small, -1, "nearest"),
        **{name: rule(small.astype(np.int64)) for name, rule in fixed.OVERFLOW.items()},
        **{name: fixed.truncate_weights(small, "mixed", 8, name) for name in ("floor", "zero")},
    }
    assert {name: each.dtype.name for name, each in answers.items() if each.dtype != np.int64} == {}


# --- tables of nengo-loihi 1.1.0 -------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(cases):
    """What nengo-loihi was given, and what it answered."""
    folder = cases / "nengoloihi_int_tables"
    return dict(np.load(folder / "input.npz")), dict(np.load(folder / "expected.npz"))


@pytest.mark.parametrize("bits", [8, 16, 17, 21, 23])
def test_wrapping_equals_nengo_loihis_overflow(tables, bits):
    """overflow_signed counts its bits without the sign."""
    x, expected = (table for table in tables)
    values = x[f"overflow_{bits}"]
    wrapped = fixed.wrap_bits(values, bits + 1)
    np.testing.assert_array_equal(wrapped, expected[f"overflow_{bits}_y"])
    np.testing.assert_array_equal(wrapped != values, expected[f"overflow_{bits}_flag"])


@pytest.mark.parametrize("offset", [0, 1])
def test_decay_equals_nengo_loihis_where_its_int32_holds_the_product(tables, offset):
    """The table was made with int32 arrays: beyond, its products wrap, and so do ours then."""
    state, field = (tables[0][name].astype(np.int64) for name in ("decay_x", "decay_d"))
    expected = tables[1][f"decay_int_off{offset}"]
    product = np.abs(state) * (4096 - offset - field)
    fits = product < 2**31
    assert fits.sum() > 100
    ours = fixed.decay(state, 4096 - offset - field)
    np.testing.assert_array_equal(ours[fits], expected[fits])
    wrapped = np.sign(state) * fixed.shift(fixed.wrap_int32(product), -12)
    np.testing.assert_array_equal(wrapped, expected)


@pytest.mark.parametrize("fanout_type", [0, 1])  # 1 is mixed
@pytest.mark.parametrize("weight_bits", range(1, 8))  # the register: 7 means 8 bits
def test_weights_equal_nengo_loihis(tables, weight_bits, fanout_type):
    """Its weights were real; of ours, those that one rounding takes half way are left out."""
    mode = "mixed" if fanout_type else "excitatory"
    bits = 8 if weight_bits == 7 else weight_bits
    step = 2 ** (8 - bits + fanout_type)
    rounded = np.rint(tables[0]["W"]).astype(np.int64)
    clear = (2 * rounded) % (2 * step) != step
    assert clear.sum() > 250
    kept = fixed.truncate_weights(rounded, mode, bits, "nearest")
    for exponent in (-6, -2, 0, 3, 7):
        name = f"weights_b{weight_bits}_e{exponent}_ft{fanout_type}"
        exact = fixed.shift(kept, 6 + exponent)
        np.testing.assert_array_equal(exact[clear], tables[1][f"{name}_exact"][clear], name)
        lossy = fixed.effective_weights(kept, exponent, "nearest")
        np.testing.assert_array_equal(lossy[clear], tables[1][f"{name}_lossy"][clear], name)
