"""What a run records of its neurons: `NAME.v`, `NAME.u`, or of some neurons `NAME.v[0,5,8:12]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeport.compiler.errors import DataError
from spikeport.compiler.kinds import Array

VARIABLES = ("u", "v")
_PART = re.compile(r"(\d{1,10})(?::(\d{1,10}))?")


@dataclass(frozen=True, eq=False)
class Probe:
    """One recording.

    Attributes:
        key: as it was asked for; the recording's name in `Traces.probes`.
        population, variable: of what.
        neurons: their numbers, int32 (k,), in the order asked for; None: all.
    """

    key: str
    population: str
    variable: str
    neurons: Array | None

    def of(self, values: Array) -> Array:
        """Return what is recorded of a variable, (samples, n)."""
        return values if self.neurons is None else values[:, self.neurons]


def parse_probe(key: str, sizes: Mapping[str, int]) -> Probe:
    """Return the Probe of a key.

    Args:
        key: `NAME.VARIABLE` or `NAME.VARIABLE[NUMBERS]`; numbers and ranges FIRST:END.
        sizes: population -> its number of neurons.

    Raises:
        DataError: no such population, variable or neuron.

    >>> parse_probe("out.v[0,3:5]", {"out": 10}).neurons.tolist()
    [0, 3, 4]
    """
    outside, _, inside = key.partition("[")
    name, _, variable = outside.rpartition(".")
    if name not in sizes or variable not in VARIABLES:
        raise DataError(
            f"there is nothing to probe at {key!r}",
            f"populations are {', '.join(list(sizes)[:8])}; variables are u and v",
            f"--probe {list(sizes)[-1]}.v",
        )
    size = sizes[name]
    if "[" not in key:
        return Probe(key, name, variable, None)
    numbers: list[int] = []
    for part in inside.removesuffix("]").split(","):
        found = _PART.fullmatch(part.strip())
        first, end = (
            (0, 0) if found is None else (int(found[1]), int(found[2] or int(found[1]) + 1))
        )
        if found is None or not inside.endswith("]") or not 0 <= first < end <= size:
            raise DataError(
                f"{part[:20]!r} of the probe {key[:60]!r} is no neuron",
                f"{name!r} has the neurons 0 to {size - 1}; a range is FIRST:END, END not included",
                f"--probe '{name}.{variable}[0:{min(size, 4)}]'",
            )
        numbers += range(first, end)
    return Probe(key, name, variable, np.array(numbers, np.int32))
