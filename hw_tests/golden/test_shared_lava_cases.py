"""The emulator against recordings that were made with Lava 0.10 before there was an emulator.

Every u, v and spike of two dense networks, and the sums of Lava's Conv. The cases lie in the
shared folder; where it is absent, hw_tests/golden/lava_random.npz is what remains.
"""

from __future__ import annotations

import json
from dataclasses import fields

import numpy as np
import pytest

from spikeport.backends import emulator
from spikeport.compiler import fixed
from spikeport.compiler.network import Convolution
from spikeport.compiler.passes.convolution import conv_matrix
from spikeport.compiler.program import Cell, CellPopulation, Program, Synapses

V_LIMIT = (1 << 23) - 1


def population(shape, **registers):
    """Return Lava LIF neurons that share their registers; those not given are 0."""
    size = int(np.prod(shape))
    held = {"v_min": -V_LIMIT, "refractory_steps": 1, **registers}
    names = [field.name for field in fields(Cell) if field.type == "Array"]
    cell = Cell(**{name: np.full(size, held.get(name, 0), np.int32) for name in names})
    return CellPopulation("CubaLIF", shape, cell, np.ones(size))


def sources(shape):
    return CellPopulation("input", shape, None, np.ones(int(np.prod(shape))))


def weights(name, pre, post, matrix, params):
    """Return one Dense process: Lava truncates the weights that it is given."""
    mode, bits = params["sign_mode"], params["num_weight_bits"]
    kept = fixed.truncate_weights(matrix, mode, bits, "floor").astype(np.int32)
    return Synapses.of(name, pre, post, kept, params["weight_exp"], mode, bits)


@pytest.mark.parametrize("name", ["lava_dense_lif_fixed", "lava_dense_lif_fixed_exp_bias"])
def test_every_u_v_and_spike_of_a_dense_network_equals_lava(cases, name):
    params = json.loads((cases / name / "meta.json").read_text())["params"]
    stored = np.load(cases / name / "params.npz")
    x = np.load(cases / name / "input.npz")["x"]
    expected = np.load(cases / name / "expected.npz")
    registers = {
        "decay_u": params["du"],
        "decay_v": params["dv"],
        "v_threshold": params["vth"],
        "bias_mantissa": params["bias_mant"],
        "bias_exponent": params["bias_exp"],
    }
    first, second = stored["W0"], stored["W1"]
    program = Program(
        dt=1e-3,
        populations={
            "in": sources((first.shape[1],)),
            "1": population((first.shape[0],), **registers),
            "3": population((second.shape[0],), **registers),
        },
        synapses=(
            weights("W0", "in", "1", first, params),
            weights("W1", "1", "3", second, params),
        ),
        outputs={"out": "3"},
        lags={"3": 0},
    )
    traces = emulator.run(program, {"in": x[None]}, probe=("1.u", "1.v", "3.u", "3.v"))
    assert expected["1.s_out"].sum() + expected["3.s_out"].sum() > 150
    for layer in ("1", "3"):
        for variable in ("u", "v"):
            key = f"{layer}.{variable}"
            np.testing.assert_array_equal(traces.probes[key][0], expected[key], err_msg=key)
        spikes = traces.spikes[layer].dense()[0]
        np.testing.assert_array_equal(spikes, expected[f"{layer}.s_out"], err_msg=layer)


def convolution(kernel, params, shape, output_shape):
    """Return the geometry of a Lava Conv, whose kernel (out, y, x, in) is flipped in y and x."""

    def pair(name, default):
        value = params.get(name, default)
        return tuple(value) if isinstance(value, list) else (value, value)

    return Convolution(
        kernel=kernel[:, ::-1, ::-1].transpose(0, 3, 1, 2).copy(),
        stride=pair("stride", 1),
        padding=pair("padding", 0),
        dilation=pair("dilation", 1),
        groups=params["groups"],
        input_shape=shape,
        output_shape=output_shape,
    )


def channels_first(array):
    """Return (..., y, x, channel) as (..., channel, y, x)."""
    return np.moveaxis(array, -1, -3)


def test_the_sums_of_a_convolution_equal_lava(cases):
    folder = cases / "lava_conv_fixed"
    params = json.loads((folder / "meta.json").read_text())["params"]
    kernel = np.load(folder / "params.npz")["W"].astype(np.int32)
    x = channels_first(np.load(folder / "input.npz")["x"])
    sums = channels_first(np.load(folder / "expected.npz")["out"])
    geometry = convolution(kernel, params, x.shape[1:], sums.shape[1:])
    program = Program(
        dt=1e-3,
        populations={
            "in": sources(x.shape[1:]),
            # forgets its current in each step, so u is what arrived; and never fires
            "sum": population(sums.shape[1:], decay_u=4095, decay_v=4096, v_threshold=131071),
        },
        synapses=(
            Synapses.of(
                "W",
                "in",
                "sum",
                conv_matrix(geometry),
                params["weight_exp"],
                "mixed",
                conv=geometry,
            ),
        ),
        outputs={"out": "sum"},
        lags={"sum": 0},
    )
    flat = x.reshape(1, len(x), -1)
    u = emulator.run(program, {"in": flat}, probe=("sum.u",)).probes["sum.u"][0]
    np.testing.assert_array_equal(u, sums.reshape(len(x), -1).astype(np.int64) << 6)


def test_a_convolution_with_stride_dilation_and_groups_equals_pytorch(cases):
    """Lava's own ground truth; its input is real, so this is the matrix and not the emulator."""
    folder = cases / "lava_conv_torch_gt_3"
    params = json.loads((folder / "meta.json").read_text())["params"]
    stored = np.load(folder / "case.npz")
    x, wanted = channels_first(stored["input"]), channels_first(stored["out_gt"])
    geometry = convolution(stored["weights"], params, x.shape, wanted.shape)
    found = (conv_matrix(geometry) @ x.ravel()).reshape(wanted.shape)
    # PyTorch summed 35 products of up to 128 in float32: 2**-24 of about 4000, several times
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-3)
