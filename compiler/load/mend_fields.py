"""Fields of old or careless files: what was left out, and what no reader expects."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spikeport.compiler.kinds import NEURONS
from spikeport.compiler.load.mend import ABSENT, Change, Edit, Place, places

#: NIR type -> its fields, as nir 1.0.8 takes them; it refuses a node with any other.
FIELDS: Mapping[str, tuple[str, ...]] = {
    "Affine": ("weight", "bias"),
    "AvgPool2d": ("kernel_size", "stride", "padding"),
    "Conv1d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"),
    "Conv2d": ("input_shape", "weight", "stride", "padding", "dilation", "groups", "bias"),
    "CubaLI": ("tau_syn", "tau_mem", "r", "v_leak", "w_in"),
    "CubaLIF": ("tau_syn", "tau_mem", "r", "v_leak", "v_reset", "v_threshold", "w_in"),
    "Delay": ("delay",),
    "Flatten": ("input_type", "start_dim", "end_dim"),
    "I": ("r",),
    "IF": ("r", "v_reset", "v_threshold"),
    "Input": ("shape",),
    "LI": ("tau", "r", "v_leak"),
    "LIF": ("tau", "r", "v_leak", "v_reset", "v_threshold"),
    "Linear": ("weight",),
    "NIRGraph": ("nodes", "edges"),
    "Output": ("shape",),
    "Scale": ("scale",),
    "SumPool2d": ("kernel_size", "stride", "padding"),
    "Threshold": ("threshold",),
}
ALWAYS = ("type", "metadata")


def mend_fields(tree: Mapping[str, Any]) -> list[Change]:
    """Return the changes that give every node the fields of NIR 1, and no others."""
    changes: list[Change] = []
    for place in places(tree):
        for name, node in place.nodes.items():
            kind = node.get("type")
            if not isinstance(kind, str) or kind not in FIELDS:
                continue
            changes += _absent(place, name, kind, node)
            changes += _unknown(place, name, kind, node)
    return changes


def _absent(place: Place, name: str, kind: str, node: Mapping[str, Any]) -> list[Change]:
    """Fill parameters that NIR itself has a value for: v_reset 0, w_in 1, no bias, one group."""
    found: list[Change] = []
    defaults = dict(getattr(NEURONS.get(kind), "absent", {}))
    like = next((value for key, value in node.items() if key in ("v_threshold", "r")), None)
    if isinstance(like, np.ndarray) and like.dtype.kind == "f":
        for field, value in defaults.items():
            if node.get(field) is None:
                found.append(_filled(place, name, kind, field, np.full_like(like, value), value))
    weight = node.get("weight")
    if kind in ("Conv1d", "Conv2d") and isinstance(weight, np.ndarray) and weight.ndim > 2:
        if node.get("bias") is None:
            none = np.zeros(weight.shape[0], weight.dtype)
            found.append(_filled(place, name, kind, "bias", none, 0))
        if node.get("groups") is None:
            found.append(_filled(place, name, kind, "groups", np.array(1), 1))
    return found


def _filled(place: Place, name: str, kind: str, field: str, array: Any, value: float) -> Change:
    lost = {
        "w_in": ": a tool that had another one (snnTorch of 2023) lost it when it wrote the file",
        "v_reset": ", which says nothing about how the tool really reset its neurons",
    }
    return Change(
        "fill-field",
        place.prefix + name,
        f"{kind} without {field}",
        f"{field} is {value:g}, as every reader assumes",
        f"older versions of NIR have no {field}; its value is {value:g} where it is absent"
        f"{lost.get(field, '')}",
        (Edit(place.at(name, field), array),),
        severity="note",
    )


def _unknown(place: Place, name: str, kind: str, node: Mapping[str, Any]) -> list[Change]:
    """Move fields that NIR does not have into the node's metadata, where nothing reads them."""
    unknown = [field for field in node if field not in (*FIELDS[kind], *ALWAYS)]
    metadata = node.get("metadata")
    taken = metadata if isinstance(metadata, Mapping) else {}
    found = []
    for field in unknown:
        if field in taken or (metadata is not None and not isinstance(metadata, Mapping)):
            continue
        found.append(
            Change(
                "move-field",
                place.prefix + name,
                f"{kind} with a field '{field}' that NIR does not have",
                f"'{field}' is in the node's metadata",
                "nir 1.0.8 refuses a node with an unknown field; metadata may hold anything",
                (
                    Edit(place.at(name, field), ABSENT),
                    Edit((*place.at(name, "metadata"), field), node[field]),
                ),
            )
        )
    return found
