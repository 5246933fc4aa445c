"""Networks in floats that Xylo takes, data for them, and how near the chip comes."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import spikeport as sp
from spikeport.compiler.chip import Chip
from spikeport.compiler.image import Image
from spikeport.compiler.network import Delay, Input, Linear, Network, Output
from spikeport.compiler.semantics import Semantics, apply_settings
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.lif import Lif

Array = np.ndarray[Any, Any]
DT = 1e-3
ROCKPOOL = Semantics(
    dt=DT, integration="exact", input_gain="unit", threshold="greater_equal", spike="count",
    reset="subtract", current_order="add_decay_v", dialect="rockpool",
)  # fmt: skip


@cache
def chip() -> Chip:
    """Xylo Audio 2 with every kind that becomes its neurons."""
    kinds = ("IF", "LIF", "CubaLIF", "Relay")
    return sp.chip("xylo_audio2").model_copy(update={"kinds": kinds})


def lasting(dash: float) -> float:
    """Return the time constant of which a step loses 2**-dash."""
    return float(-DT / np.log1p(-(2.0**-dash)))


def cuba(
    size: int, dash: tuple[float, float] = (2, 3), theta: float = 1.0, **said: float
) -> CubaLif:
    one = np.ones(size)
    values = {"v_leak": 0.0, **said}
    return CubaLif(
        tau_mem=lasting(dash[1]) * one, tau_syn=lasting(dash[0]) * one, r=one,
        v_leak=values["v_leak"] * one, v_threshold=theta * one, v_reset=0 * one, w_in=one,
    )  # fmt: skip


def net_of(*said: str, seed: int = 0, hidden: Any = None, readout: Any = None) -> Network:
    """Return 16 inputs -> 60 hidden -> 8 readouts with weights as after training."""
    rng = np.random.default_rng(seed)
    nodes = {
        "in": Input((16,)),
        "fc1": Linear(rng.normal(0.02, 0.08, (60, 16))),
        "h": hidden or cuba(60),
        "fc2": Linear(rng.normal(0.01, 0.04, (8, 60))),
        "o": readout or cuba(8, theta=2.0),
        "out": Output((8,)),
    }
    edges = (("in", "fc1"), ("fc1", "h"), ("h", "fc2"), ("fc2", "o"), ("o", "out"))
    return Network(nodes, edges, apply_settings(ROCKPOOL, said))


def spikes(seed: int = 5, samples: int = 20, steps: int = 80, most: int = 1) -> Array:
    rng = np.random.default_rng(seed)
    busy = rng.random((samples, steps, 16)) < rng.random((samples, 1, 16)) * 0.3
    return (busy * rng.integers(1, most + 1, busy.shape)).astype(np.uint8)


def compiled(net: Network, x: Array, target: Chip | None = None) -> Image:
    kind = "counts" if x.max() > 1 else "spikes"
    return sp.compile(net, target or chip(), calibration=x, kind=kind)


def near(net: Network, x: Array, name: str, image: Image | None = None) -> tuple[float, float]:
    """Return the share of equal cells, and by how much of all spikes the neurons' counts differ."""
    ideal, found = compared(net, x, name, image)
    assert ideal.sum() > 400
    wrong = np.abs(ideal.sum(axis=1) - found.sum(axis=1)).sum()
    return float(np.mean(ideal == found)), float(wrong / ideal.sum())


def compared(net: Network, x: Array, name: str = "o", image: Image | None = None) -> Any:
    """Return counts of a population in the reference and on chip, (samples, steps, n) each."""
    kind = "counts" if x.max() > 1 else "spikes"
    ideal = sp.run(net, x, kind=kind).spikes[name].dense().astype(int)
    found = sp.run(image or compiled(net, x), x, kind=kind)
    return ideal, found.window(name).astype(int)


def lif(size: int, theta: float, dash: float = 4) -> Lif:
    one = np.ones(size)
    return Lif(lasting(dash) * one, one, 0 * one, theta * one, 0 * one)


def integrator(size: int, theta: float) -> If:
    one = np.ones(size)
    return If(one, theta * one, 0 * one)


def with_delay(steps: int) -> Network:
    """Return the network with a Delay before the hidden layer's spikes reach the readout."""
    net = net_of()
    edges = (
        ("in", "fc1"),
        ("fc1", "h"),
        ("h", "late"),
        ("late", "fc2"),
        ("fc2", "o"),
        ("o", "out"),
    )
    nodes = {**net.nodes, "late": Delay(np.full(60, steps * DT))}
    return Network(nodes, edges, net.semantics)
