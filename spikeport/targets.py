"""What a search for a recipe is asked for: a target or a table, and a budget."""

from __future__ import annotations

from dataclasses import dataclass

from spikeport.compiler.errors import DataError
from spikeport.compiler.memory import in_bytes
from spikeport.data import Data
from spikeport.explore import Goal
from spikeport.prepared import Prepared
from spikeport.trials import Bench


@dataclass(frozen=True)
class Asked:
    """What is searched for; nothing: the recipe that was given is measured.

    Attributes:
        agreement: least share of cells that are as in the reference, in each population.
        accuracy: least one, or, below 0, the change against the reference that is allowed.
        table: is the whole table wanted.
        memory, cores: most bits of synaptic memory and most cores.
    """

    agreement: float | None = None
    accuracy: float | None = None
    table: bool = False
    memory: int | None = None
    cores: int | None = None

    @property
    def searches(self) -> bool:
        """Is more than one recipe tried."""
        return self.table or self.agreement is not None or self.accuracy is not None


def read_asked(
    agreement: float | None, accuracy: float | None, table: bool, memory: str | int | None,
    cores: int | None,
) -> Asked:  # fmt: skip
    """Return what is searched for.

    Raises:
        DataError: no share, or options that exclude each other.
    """
    if agreement is not None and accuracy is not None:
        raise DataError("there are two targets", "the cheapest recipe reaches one", "leave out one")
    if agreement is not None and not 0 < agreement <= 1:
        raise DataError(
            f"no share of cells can be {agreement:g}", "the target is above 0 and at most 1",
            "--target-agreement 0.995",
        )  # fmt: skip
    if accuracy is not None and (not -1 < accuracy <= 1 or accuracy == 0):
        raise DataError(
            f"no target: an accuracy of {accuracy:g}",
            "it is above 0 and at most 1, or, below 0, what may be lost",
            "--target-accuracy 0.97, or --target-accuracy -0.005",
        )
    if not table and (memory is not None or cores is not None):
        raise DataError(
            "a budget has no effect on one recipe", "it says which row of the table is best",
            "add --explore",
        )  # fmt: skip
    if table and (agreement is not None or accuracy is not None):
        raise DataError(
            "a target and the whole table are two searches",
            "the one ends where the target is reached",
            "leave out --explore, or the target",
        )
    if cores is not None and cores < 1:
        raise DataError(f"a budget of {cores} cores", "a network takes 1", "--budget-cores 1")
    return Asked(agreement, accuracy, table, None if memory is None else bits_of(memory), cores)


def bits_of(size: str | int) -> int:
    """Return bits: a plain number is bits, one with a unit is bytes.

    >>> bits_of("60000"), bits_of("32KiB")
    (60000, 262144)
    """
    text = str(size).strip()
    return int(text) if text.isdecimal() and int(text) else 8 * in_bytes(text)


def check_target(asked: Asked, given: Prepared, calibration: Data) -> None:
    """Refuse a target that the data says nothing of."""
    if asked.accuracy is not None and (given.labels is None or calibration.labels is None):
        which = "data" if given.labels is None else "calibration data"
        raise DataError(
            "there is no accuracy without labels", f"the {which} has no array 'labels'",
            f"add labels (samples,) to the {which}, or set --target-agreement",
        )  # fmt: skip
    clocked = given.clocked
    cells = (clocked.populations[name].membrane for name in clocked.neurons)
    if asked.agreement is not None and not any(each is None or each.spiking for each in cells):
        raise DataError(
            "no population of the network spikes", "agreement is the share of equal spikes",
            "set --target-accuracy, with --decode mem_max",
        )  # fmt: skip


def goal_on(asked: Asked, bench: Bench, data: Data) -> Goal:
    """Return the goal on data of the bench; the reference's accuracy on it counts."""
    if asked.accuracy is not None:
        ideal = bench.accuracy(data) or 0.0
        return Goal(1 - (asked.accuracy if asked.accuracy > 0 else ideal + asked.accuracy), True)
    loss = None if asked.agreement is None else 1 - asked.agreement
    return Goal(loss, False, asked.memory, asked.cores)
