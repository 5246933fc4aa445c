"""What a search for a recipe is asked for: a target or a table, and a budget."""

from __future__ import annotations

import math
import re
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
    agreement: float | str | None, accuracy: float | str | None, table: bool,
    memory: str | int | None, cores: int | str | None,
) -> Asked:  # fmt: skip
    """Return what is searched for; figures may be text.

    Raises:
        DataError: no share or number, or options that exclude each other.
    """
    agreement = _number(agreement, "a target of agreement", "--target-agreement 0.995")
    accuracy = _number(accuracy, "a target of accuracy", "--target-accuracy 0.97")
    most_cores = _number(cores, "a budget of cores", "--budget-cores 1")
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
    has_target = agreement is not None or accuracy is not None
    has_budget = memory is not None or cores is not None
    if has_target and has_budget:
        raise DataError(
            "a target and a budget exclude each other",
            "the one finds the least memory that keeps enough, the other what a size keeps",
            "leave out the budget, or the target and add --explore",
        )
    if has_budget and not table:
        raise DataError(
            "a budget has no effect on one recipe", "it says which row of the table is best",
            "add --explore",
        )  # fmt: skip
    if table and has_target:
        raise DataError(
            "a target and the whole table are two searches",
            "the one ends where the target is reached",
            "leave out --explore, or the target",
        )
    if most_cores is not None and (most_cores < 1 or most_cores % 1):
        raise DataError(
            f"a budget of {most_cores:g} cores", "a network takes 1 or more", "--budget-cores 1"
        )
    return Asked(
        agreement, accuracy, table, None if memory is None else bits_of(memory),
        None if most_cores is None else int(most_cores),
    )  # fmt: skip


def _number(given: float | str | None, what: str, fix: str) -> float | None:
    try:
        found = None if given is None else float(given)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    if found is not None and not math.isfinite(found):
        raise DataError(f"{what} is a number, not {given!r}", "", fix)
    return found


def bits_of(size: str | int) -> int:
    """Return bits: a plain whole number is bits, one with a unit is bytes.

    Raises:
        DataError: neither of them, or not above 0.

    >>> bits_of("60000"), bits_of("32KiB")
    (60000, 262144)
    """
    text = str(size).strip()
    try:
        bits = int(text) if re.fullmatch(r"[0-9]{1,18}", text) else 0
        bits = bits or 8 * (in_bytes(text) if text[-1:].isalpha() else 0)
    except DataError:
        bits = 0
    if not bits:
        raise DataError(
            f"no size of synaptic memory: {text!r}",
            "it is a whole number of bits above 0, or has a unit of bytes",
            "--budget-memory 60000, or --budget-memory 32KiB",
        )
    return bits


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


def check_reachable(asked: Asked, bench: Bench) -> None:
    """Refuse an accuracy that the float reference has not, before anything is searched.

    Raises:
        DataError: with what it has.
    """
    ideal = bench.accuracy(bench.final)
    if asked.accuracy is not None and ideal is not None and asked.accuracy > ideal + 1e-12:
        most = math.floor(1e4 * ideal + 1e-6) / 1e4
        raise DataError(
            f"an accuracy of {asked.accuracy:g} is more than the float reference has: {most:g}",
            "a recipe keeps what there is; it makes nothing better",
            f"ask for at most {most:g}, or for what may be lost, as --target-accuracy -0.005",
        )


def goal_on(asked: Asked, bench: Bench, data: Data) -> Goal:
    """Return the goal on data of the bench; the reference's accuracy on it counts."""
    if asked.accuracy is not None:
        ideal = bench.accuracy(data) or 0.0
        return Goal(1 - (asked.accuracy if asked.accuracy > 0 else ideal + asked.accuracy), True)
    loss = None if asked.agreement is None else 1 - asked.agreement
    return Goal(loss, False, asked.memory, asked.cores)
