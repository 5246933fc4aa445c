"""A case per neuron kind and rule: input -> affine -> the kind -> linear -> LIF."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import nir
import numpy as np

from hw_tests.contract.conformance.case import DT, Case, Draft

Array = np.ndarray[Any, Any]
N, READERS = 5, 4

#: What a spike does to v, and when one is sent: rule -> settings of the population.
RESETS: dict[str, dict[str, str]] = {
    "to_value": {},
    "to_value, v_reset and v_leak not 0": {},
    "subtract": {"reset": "subtract"},
    "subtract, v_reset and v_leak not 0": {"reset": "subtract"},
    "subtract_snntorch": {"reset": "subtract_snntorch"},
    "none": {"reset": "none"},
    "next_step": {"reset_when": "next_step"},
    "next_step, subtract": {"reset_when": "next_step", "reset": "subtract"},
    "count, subtract": {"spike": "count", "reset": "subtract"},
    "count, to_value": {"spike": "count"},
    "count, none": {"spike": "count", "reset": "none"},
    "count, next_step": {"spike": "count", "reset": "subtract", "reset_when": "next_step"},
    "refractory": {"refractory": repr(2 * DT)},
    "refractory, subtract": {"refractory": repr(2 * DT), "reset": "subtract"},
    "v_min": {"v_min": "-0.125"},
    "greater_equal": {"threshold": "greater_equal"},
    "greater_equal, subtract": {"threshold": "greater_equal", "reset": "subtract"},
    "greater_equal, count": {"threshold": "greater_equal", "reset": "subtract", "spike": "count"},
    "initial_v": {"initial_v": "0.75"},
}
#: How a step is taken: rule -> settings, for kinds that have what it is about.
STEPPING: dict[str, dict[str, str]] = {
    "exact": {"integration": "exact"},
    "unit gain": {"input_gain": "unit"},
    "unit current": {"input_gain": "unit_current"},
    "add_v_decay": {"current_order": "add_v_decay"},
    "v_decay_add": {"current_order": "v_decay_add"},
    "add_decay_v": {"current_order": "add_decay_v"},
}
LEAKY, CURRENT = ("LIF", "LI", "CubaLIF", "CubaLI"), ("CubaLIF", "CubaLI")


def neuron_cases() -> Iterator[Case]:
    """Yield the cases of the seven kinds."""
    for kind in ("IF", "LIF", "CubaLIF"):
        for rule, said in RESETS.items():
            yield _case(kind, rule, said, moved="not 0" in rule, grid="greater_equal" in rule)
    for kind in ("I", "LI", "CubaLI"):
        yield _case(kind, "readout", {}, read=False)
        yield _case(kind, "inside a network", {})
        yield _case(kind, "v_min, initial_v", {"v_min": "-0.125", "initial_v": "0.75"}, read=False)
    for kind in ("LI", "CubaLI"):
        yield _case(kind, "v_leak not 0", {}, moved=True, read=False)
    yield _case("Threshold", "greater", {})
    yield _case("Threshold", "greater_equal", {"threshold": "greater_equal"}, grid=True)
    for rule, said in STEPPING.items():
        for kind in LEAKY if rule in ("exact", "unit gain") else CURRENT:
            yield _case(kind, rule, said, read=kind.endswith("F"))


def _case(
    kind: str,
    rule: str,
    said: dict[str, str],
    moved: bool = False,
    grid: bool = False,
    read: bool = True,
) -> Case:
    """Return a case.

    Args:
        kind: NIR's name.
        rule: name of the variant.
        said: settings of the population.
        moved: are v_reset and v_leak not 0.
        grid: do weights and levels lie on a binary grid, so that v meets the threshold exactly.
        read: does another population read it (a second Output shows that one).
    """
    draft = Draft(kind, rule)
    rng = draft.rng
    weight = rng.normal(0.4, 0.5, (N, 6))
    bias = rng.normal(0.1, 0.1, N)
    if grid:
        weight, bias = np.rint(weight * 4) / 4, np.zeros(N)
    fc = draft.sketch.add("fc", nir.Affine(weight, bias), (6,), (N,), draft.input((6,)))
    node = _node(kind, rng, moved, grid)
    x = draft.sketch.add("x", node, (N,), (N,), fc)
    draft.output(x)
    if read:
        readers = nir.Linear(rng.normal(0.5, 0.4, (READERS, N)))
        w = draft.sketch.add("w", readers, (N,), (READERS,), x)
        draft.output(draft.lif(w, "reader"), "read")
    return draft.case([f"x.{field}={value}" for field, value in said.items()])


def _node(kind: str, rng: np.random.Generator, moved: bool, grid: bool) -> Any:
    membrane = np.full(N, 4.0) if grid else rng.uniform(2.5, 9.0, N)
    synapse = np.full(N, 2.0) if grid else rng.uniform(1.5, 5.0, N)
    values = {
        "tau": membrane * DT,
        "tau_mem": membrane * DT,
        "tau_syn": synapse * DT,
        "r": np.full(N, 1 / DT) if kind in ("I", "IF") else membrane,
        "w_in": synapse / 2,
        "v_threshold": np.ones(N) if grid else rng.uniform(0.7, 1.3, N),
        "threshold": np.ones(N) if grid else rng.uniform(0.4, 1.3, N),
        "v_leak": rng.uniform(-0.4, 0.6, N) if moved else np.zeros(N),
        "v_reset": rng.uniform(-0.6, 0.3, N) if moved else np.zeros(N),
    }
    fields = getattr(nir, kind).__dataclass_fields__
    return getattr(nir, kind)(**{name: values[name] for name in fields if name in values})
