"""What is learned, and in which coordinates: the optimiser's steps suit all kinds alike.

weights, biases   as they are
tau               p = log(tau / dt - 1): under Euler the share that survives a step,
                  1 - dt / tau, is sigmoid(p), and tau never falls to dt
                  (Fang et al. 2021, "learnable membrane time constant", arXiv:2007.05785)
thresholds        p = log(v_threshold / its start): a threshold keeps its sign
delays            p = delay / dt, in steps, held between 0 and the longest (see `lag.py`)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spikeport.compiler.errors import RecipeError
from spikeport.compiler.kinds import Array
from spikeport.compiler.semantics import Semantics
from spikeport.models.training.lag import LONGEST

#: Field of a node -> what a recipe calls it.
KINDS: Mapping[str, str] = {
    "weight": "weights",
    "bias": "biases",
    "tau": "tau",
    "tau_mem": "tau",
    "tau_syn": "tau",
    "v_threshold": "thresholds",
    "threshold": "thresholds",
    "delay": "delays",
}


@dataclass(frozen=True, eq=False)
class Coordinates:
    """The way between a network's own units and what the optimiser moves.

    Attributes:
        initial: `NODE.field` -> array in the network's own units, learned or not.
        kinds: learned `NODE.field` -> its kind, in the network's order.
        dt: seconds per step.
        tau_step: one step in the unit that the file's time constants have.
    """

    initial: Mapping[str, Array]
    kinds: Mapping[str, str]
    dt: float
    tau_step: float

    def start(self) -> dict[str, Array]:
        """Return the coordinates of the initial network, float64."""
        return {name: self._out_of_units(name) for name in self.kinds}

    def _out_of_units(self, name: str) -> Array:
        value = np.asarray(self.initial[name], np.float64)
        match self.kinds[name]:
            case "tau":
                return np.asarray(np.log(value / self.tau_step - 1))
            case "thresholds":
                return np.zeros_like(value)
            case "delays":
                return np.asarray(value / self.dt)
        return value

    def in_units(self, moved: Mapping[str, Any], xp: Any) -> dict[str, Any]:
        """Return what is learned in the network's own units, in the precision of `moved`.

        Args:
            moved: learned `NODE.field` -> coordinates.
            xp: numpy or jax.numpy.
        """
        return {name: self._into_units(name, each, xp) for name, each in moved.items()}

    def _into_units(self, name: str, moved: Any, xp: Any) -> Any:
        match self.kinds[name]:
            case "tau":
                return self.tau_step * (1 + xp.exp(moved))
            case "thresholds":
                return xp.asarray(self.initial[name], moved.dtype) * xp.exp(moved)
            case "delays":
                return self.dt * moved
        return moved

    def held(self, moved: Mapping[str, Any], xp: Any) -> dict[str, Any]:
        """Return coordinates after a step, those of delays moved back to where they mean one."""
        return {
            name: xp.clip(each, 0, LONGEST) if self.kinds[name] == "delays" else each
            for name, each in moved.items()
        }


def coordinates(
    initial: Mapping[str, Array], learn: Sequence[str], semantics: Semantics
) -> Coordinates:
    """Return the coordinates of what a recipe wants to learn.

    Raises:
        RecipeError: the network has nothing of a kind, or a time constant that is not above dt.
    """
    dt = float(semantics.dt or 0)
    has = {name: KINDS.get(name.rpartition(".")[2], "") for name in initial}
    for kind in learn:
        if kind not in has.values():
            there = sorted(set(filter(None, has.values())))
            raise RecipeError(
                f"learn: the network has no {kind}", f"it has {', '.join(there)}",
                f"leave {kind} out, or name one of these",
            )  # fmt: skip
    kinds = {name: kind for name, kind in has.items() if kind in learn}
    tau_step = dt * (dt if semantics.tau_unit == "seconds_times_dt" else 1)
    for name, kind in kinds.items():
        if kind == "tau" and not (np.asarray(initial[name]) > tau_step).all():
            raise RecipeError(
                f"learn: {name} cannot be learned",
                f"its shortest, {np.min(initial[name]):g}, is not above a step of {tau_step:g}",
                "leave tau out of learn, or start with longer time constants",
            )
    return Coordinates(initial, kinds, dt, tau_step)
