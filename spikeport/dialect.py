"""The dialect finder for people: find a setting, then run the whole network under it.

The finder looks at a part of large recordings and at each population alone. What it says is
therefore confirmed by the run that `compare` would do under the very same flags; where that run
disagrees, a larger part is searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from spikeport import verbs
from spikeport.compiler.errors import counted
from spikeport.compiler.kinds import Array
from spikeport.compiler.measure.dialect import Found, find
from spikeport.compiler.measure.dialect_block import shifted
from spikeport.compiler.measure.parity import PopulationParity, compare_arrays
from spikeport.compiler.network import Network
from spikeport.compiler.semantics import Semantics
from spikeport.data import Data

#: Recorded cells of a population that are searched, one try after the other.
PARTS = (40_000, 400_000, 1 << 40)

#: What a file does not carry, by the field or parameter that supplies it.
LOST = {
    "v_min": "a clamp of v from below",
    "initial_v": "the v before the first step",
    "refractory": "a refractory period",
    "reset": "the kind of reset",
    "reset_when": "when the reset is applied",
}

#: What a file does carry, and may carry wrongly.
OTHERWISE = {
    "w_in": "the gain of the synaptic input",
    "r": "the gain of the input",
    "v_leak": "a leak level or bias",
    "v_reset": "the reset level",
    "v_threshold": "the threshold",
}


@dataclass(frozen=True)
class Answer:
    """What the finder found, confirmed by a run of the whole network.

    Attributes:
        found: of the search.
        flags: command line flags under which `compare` gives the same numbers.
        network: the network under them.
        parity: recorded population -> comparison with the run.
    """

    found: Found
    flags: tuple[str, ...]
    network: Network
    parity: Mapping[str, PopulationParity]

    @property
    def cells(self) -> int:
        """Recorded cells that were compared."""
        return sum(each.cells for each in self.parity.values())

    @property
    def different(self) -> int:
        """Cells that differ."""
        return sum(each.different for each in self.parity.values())

    @property
    def exact(self) -> bool:
        """Does every recorded cell agree."""
        return self.different == 0

    @property
    def silent(self) -> list[str]:
        """Recorded populations without a spike: they tell one setting from another hardly."""
        return [name for name, each in self.parity.items() if not each.spikes_expected]

    @property
    def lost(self) -> list[str]:
        """What had to be supplied, in sentences: what the file lacks, or has otherwise."""
        said = self.found.saying
        sentences = []
        for text in said.settings:
            name = text.partition("=")[0].rpartition(".")[2]
            if name in LOST:
                sentences.append(f"{LOST[name]}, which the file does not carry: --set {text}")
            elif name in OTHERWISE:
                sentences.append(f"{OTHERWISE[name]} differs from the file's: --set {text}")
        if said.late:
            when = "late" if said.late > 0 else "early"
            sentences.append(f"the recording is {counted(abs(said.late), 'step')} {when}")
        return sentences


def find_dialect(
    net: Network, data: Data, recorded: Mapping[str, Array], fixed: tuple[str, ...] = ()
) -> Answer:
    """Return under which setting a network gives spikes that were recorded elsewhere.

    Args:
        net: as loaded; what its semantics hold beside `fixed` is searched, dt where it is None.
        data: inputs.
        recorded: population -> (samples, steps, n).
        fixed: fields of the semantics that somebody has set.

    Raises:
        DataError, SemanticsError: nothing to compare, or nothing that can be stepped.
    """
    for part in PARTS:
        found = find(net, data.inputs, recorded, fixed, part)
        answer = _confirmed(net, data, recorded, found)
        if answer.exact or found.whole or not found.exact:
            break
    return answer


def _confirmed(net: Network, data: Data, recorded: Mapping[str, Array], found: Found) -> Answer:
    saying = found.saying
    given = net.semantics.parameters
    parameters = tuple(f"{name}={value:.12g}" for name, value in given.items())
    if saying.dialect:
        net = net.with_semantics(Semantics())
    said = verbs.said(net, saying.dialect or None, saying.dt, (*parameters, *saying.settings))
    flags = list(saying.flags)
    for text in parameters:
        flags += ["--set", text]
    traces = verbs.run(said, data)
    parity = {
        name: compared(name, traces.spikes[name].shape, raster, traces.window(name), saying.late)
        for name, raster in recorded.items()
        if name in traces.spikes
    }
    return Answer(found, tuple(flags), said, parity)


def compared(
    name: str, shape: tuple[int, ...], expected: Array, ours: Array, late: int
) -> PopulationParity:
    """Compare a recording that is so many steps late with our spikes, (samples, steps, n).

    Where it is early (late < 0), its last steps have no partner and are left out.
    """
    moved = shifted(np.asarray(ours), late)
    end = expected.shape[1] + min(late, 0)
    return compare_arrays(name, shape, "spikes", expected[:, :end], moved[:, :end], late)
