"""Every error a person can meet: what is wrong, why, and what to do about it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches


def printable(text: object) -> str:
    """Return `text` with anything that a terminal or a page could act upon replaced.

    Names come out of files that nobody has checked: control characters could move the cursor,
    and a tag could become markup where a message is pasted into a page.
    """
    return re.sub(r"[^\x20-\x7e\u00a0-\u2fff]|<(?=[A-Za-z/!?])", "?", str(text))


def counted(number: int, noun: str) -> str:
    """Return `1 step`, `2 steps`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


class SpikeportError(Exception):
    """Base of all errors that are the user's to mend. Prints as `what: why` and a `fix:` line."""

    exit_code = 2

    def __init__(self, what: str, why: str = "", fix: str = "") -> None:
        self.what, self.why, self.fix = printable(what), printable(why), printable(fix)
        super().__init__(self.what, self.why, self.fix)

    def __str__(self) -> str:
        first = f"{self.what}: {self.why}" if self.why else self.what
        return f"{first}\n  fix: {self.fix}" if self.fix else first


class LoadError(SpikeportError):
    """A file cannot be read as what it claims to be."""


class GraphError(SpikeportError):
    """A graph is not a network that can be stepped."""


class SemanticsError(SpikeportError):
    """What a step means is unknown or contradictory."""


class DataError(SpikeportError):
    """Input or expected data does not match the network."""


class LoweringError(SpikeportError):
    """A network cannot be expressed on the chosen target."""


class Refused(LoweringError):
    """Several things of a network cannot be done on the target; `refusals` holds each."""

    def __init__(self, what: str, refusals: Sequence[LoweringError]) -> None:
        self.refusals = tuple(refusals)
        shown = self.refusals[:12]
        why = "; ".join(f"{each.what}, {each.why}" for each in shown)
        super().__init__(what, why, "; ".join(dict.fromkeys(each.fix for each in shown)))


class ChipError(SpikeportError):
    """A chip description is wrong or unknown."""


@dataclass(frozen=True)
class Violation:
    """One broken limit of a chip.

    Attributes:
        object: what breaks it, such as a population or a neuron of it.
        what: the resource, in words that follow a number.
        figure, limit: how much is needed, and how much there is.
        fix: what to do; doing it makes the limit hold.
    """

    object: str
    what: str
    figure: int
    limit: int
    fix: str

    def __str__(self) -> str:
        needs = "need" if " and " in self.object else "needs"
        said = f"{self.object} {needs} {self.figure} {self.what}, the limit is {self.limit}"
        return f"{said}: {self.fix}"


class FitError(SpikeportError):
    """A network breaks limits of the chip; `violations` holds all of them.

    A violation is a `Violation`, or a sentence where there is no figure to give.
    """

    def __init__(self, what: str, violations: Sequence[Violation | str], fix: str = "") -> None:
        self.found = tuple(violations)
        self.violations = tuple(printable(violation) for violation in violations)
        super().__init__(what, "; ".join(self.violations), fix)

    def __str__(self) -> str:
        lines = [self.what, *(f"  - {violation}" for violation in self.violations[:20])]
        if len(self.violations) > 20:
            lines.append(f"  - and {len(self.violations) - 20} more (--json lists all)")
        return "\n".join([*lines, f"  fix: {self.fix}"] if self.fix else lines)


class MemoryLimit(SpikeportError):
    """Something needs more memory than may be taken."""


class OutputError(SpikeportError):
    """Something is already where the result should go."""


class RecipeError(SpikeportError):
    """A training recipe says something that cannot be followed."""


class TrainingError(SpikeportError):
    """Training cannot go on: the loss is no number, or nothing is sent any more."""


class CheckpointError(SpikeportError):
    """A checkpoint cannot be read, or belongs to another training."""


class Interrupted(SpikeportError):
    """Somebody ended the training; what was reached is kept."""

    exit_code = 130


class MissingError(SpikeportError):
    """Something that the machine should have is not there."""

    exit_code = 3


class BackendError(SpikeportError):
    """A backend failed or did not answer in time."""

    exit_code = 3


def nearest(word: str, known: Iterable[str]) -> str:
    """Return which of the known names is most like a word, for advice; "" if none is known.

    >>> nearest("arctam", ["fast_sigmoid", "arctan"])
    'arctan'
    """
    return next(iter(get_close_matches(word[:60], list(known), 1, 0.0)), "")
