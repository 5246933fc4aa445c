"""One population with random parameters, whose gains are near one.

So it is neither silent nor always above its threshold, and what passes through several analog
populations does not grow without end.
"""

from __future__ import annotations

from typing import Any

import nir
import numpy as np

from hw_tests.generate.sketch import Shape

Array = np.ndarray[Any, Any]
SPIKING = ("IF", "LIF", "CubaLIF", "Threshold")
ANALOG = ("LI", "CubaLI", "I")


def draw_neuron(rng: np.random.Generator, kind: str, shape: Shape, said: dict[str, Any]) -> Any:
    """Return a NIR node of this kind and shape.

    Args:
        rng: where the numbers come from.
        kind: NIR's name.
        shape: without batch.
        said: semantics fields of the network; `dt` and `tau_unit` are read.
    """
    draw = _Parameters(rng, shape, said)
    match kind:
        case "IF":
            return nir.IF(draw.gain() / draw.dt, draw.threshold(), draw.reset())
        case "I":
            return nir.I(draw.gain() / draw.dt / 16)
        case "Threshold":
            return nir.Threshold(draw.threshold())
        case "LIF":
            steps = draw.steps()
            return nir.LIF(
                draw.tau(steps), draw.gain() * steps, draw.leak(), draw.threshold(), draw.reset()
            )
        case "LI":
            steps = draw.steps()
            return nir.LI(draw.tau(steps), draw.gain(), draw.leak())
        case "CubaLIF":
            synapse, steps = draw.steps(), draw.steps()
            return nir.CubaLIF(
                draw.tau(synapse), draw.tau(steps), draw.gain() * steps / 2, draw.leak(),
                draw.threshold(), draw.reset(), draw.gain() * synapse,
            )  # fmt: skip
        case "CubaLI":
            synapse, steps = draw.steps(), draw.steps()
            return nir.CubaLI(
                draw.tau(synapse), draw.tau(steps), draw.gain(), draw.leak(), draw.gain()
            )  # fmt: skip
    raise ValueError(kind)


class _Parameters:
    """Random levels; one value for all neurons, or one each; sometimes on a binary grid."""

    def __init__(self, rng: np.random.Generator, shape: Shape, said: dict[str, Any]) -> None:
        self.rng, self.shape, self.dt = rng, shape, said["dt"]
        self.tau_unit = said["dt"] ** 2 if said["tau_unit"] == "seconds_times_dt" else said["dt"]
        self.grid, self.alike = rng.random() < 0.3, rng.random() < 0.5

    def steps(self) -> Array:
        """Time constants in steps."""
        if self.grid:
            return 2.0 ** self._levels(lambda size: self.rng.integers(1, 5, size))
        return self._levels(lambda size: self.rng.uniform(1.1, 12.0, size))

    def tau(self, steps: Array) -> Array:
        """Time constants as the file has them."""
        return steps * self.tau_unit

    def gain(self) -> Array:
        if self.grid:
            return self._levels(lambda size: self.rng.choice([0.5, 1.0], size))
        return self._levels(lambda size: self.rng.uniform(0.6, 1.2, size))

    def threshold(self) -> Array:
        if self.grid:
            return self._levels(lambda size: self.rng.choice([0.75, 1.0, 1.5], size))
        return self._levels(lambda size: self.rng.uniform(0.6, 1.6, size))

    def reset(self) -> Array:
        return self._sometimes([-0.5, -0.25, 0.25], -0.5, 0.3)

    def leak(self) -> Array:
        return self._sometimes([-0.5, 0.5, 0.25], -0.5, 0.5)

    def _sometimes(self, grid: list[float], low: float, high: float) -> Array:
        if self.rng.random() < 0.5:
            return np.zeros(self.shape)
        if self.grid:
            return self._levels(lambda size: self.rng.choice(grid, size))
        return self._levels(lambda size: self.rng.uniform(low, high, size))

    def _levels(self, draw: Any) -> Array:
        if self.alike:
            return np.full(self.shape, float(draw(None)))
        return np.asarray(draw(self.shape), float)
