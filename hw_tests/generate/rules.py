"""Random semantics: what a step means, for the network and where a neuron differs from it."""

from __future__ import annotations

from typing import Any

import numpy as np

#: Chip -> what its neurons can do, of the fields in which chips differ.
CAN: dict[str, dict[str, tuple[str, ...]]] = {
    "loihi1": {
        "reset": ("to_value", "subtract"),
        "reset_when": ("same_step",),
        "spike": ("binary",),
    },
    "generic_graded": {
        "reset": ("to_value", "subtract", "subtract_snntorch", "none"),
        "reset_when": ("same_step", "next_step"),
        "spike": ("binary", "count"),
    },
}


def draw_rules(rng: np.random.Generator, chip: str) -> dict[str, Any]:
    """Return the network's semantics fields."""
    dt = float(rng.choice([1e-4, 1e-3, 2.0**-10, 1.0]))
    said = {
        "dt": dt,
        "integration": "euler",
        "input_gain": "per_equation",
        "current_order": "decay_add_v",
        "tau_unit": "seconds_times_dt" if rng.random() < 0.15 else "seconds",
        "feedforward_lag": int(rng.random() < 0.3),
        "recurrent_lag": int(rng.random() < 0.85),
        "recurrent_bias_at_start": bool(rng.random() < 0.5),
        "initial_v": None,
        "v_min": None,
        "refractory": 0.0,
        "threshold": "greater",
        "reset": "to_value",
        "reset_when": "same_step",
        "spike": "binary",
    }
    return bounded(said | draw_local_rules(rng, chip, dt)) if rng.random() < 0.7 else said


def bounded(said: dict[str, Any]) -> dict[str, Any]:
    """Return rules under which no count grows with time: who counts must also be reset."""
    grows = said["spike"] == "count" and said["reset"] == "none"
    return said | {"reset": "subtract"} if grows else said


def draw_local_rules(rng: np.random.Generator, chip: str, dt: float) -> dict[str, Any]:
    """Return a few fields that can differ from neuron to neuron, with random values."""
    drawn = {
        "integration": ["euler", "exact"],
        "input_gain": ["per_equation", "unit", "unit_current"],
        "current_order": ["decay_add_v", "add_v_decay", "v_decay_add", "add_decay_v"],
        "threshold": ["greater", "greater_equal"],
        "initial_v": [None, 0.25, -0.5, float(rng.uniform(-0.5, 0.6)), 2.0],
        "v_min": [None, -0.25, float(rng.uniform(-1.5, -0.1))],
        "refractory": [0.0, dt, 2 * dt, 3.4 * dt],
        **{name: list(values) for name, values in CAN[chip].items()},
    }
    names = rng.permutation(sorted(drawn))[: rng.integers(1, 5)]
    return {str(name): drawn[name][rng.integers(len(drawn[name]))] for name in names}


def as_settings(said: dict[str, Any], node: str = "") -> list[str]:
    """Return `FIELD=VALUE` or `NODE.FIELD=VALUE` texts, as --set takes them."""
    start = f"{node}." if node else ""
    return [f"{start}{name}={_text(value)}" for name, value in said.items()]


def _text(value: Any) -> str:
    if value is None:
        return "none"
    return repr(value) if isinstance(value, float) else str(value).lower()
