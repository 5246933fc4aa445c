"""The noun `Finding`: one thing that is to be said about a file."""

from __future__ import annotations

from dataclasses import dataclass

from spikeport.compiler.errors import SpikeportError, printable
from spikeport.compiler.load.mend import Change, Severity

ORDER: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with a file, or worth knowing about it.

    Attributes:
        severity: `error`: spikeport refuses the graph as it is; `warning`: spikeport mends it
            while reading, or doubts it, and other readers may refuse it; `note`: worth knowing.
        name: kind of finding, the name of the mend where there is one.
        node: that it is about, "" for the graph.
        what, why: what is wrong, and how that is known.
        fix: what makes it right.
        repair: `safe` (one reading; --fix makes it), `guess` (--fix makes it with --guess),
            `by hand`, or "" where nothing needs to be done.
    """

    severity: Severity
    name: str
    node: str
    what: str
    why: str = ""
    fix: str = ""
    repair: str = ""

    def to_dict(self) -> dict[str, str]:
        """Return plain texts that are safe to print."""
        return {key: printable(value) for key, value in vars(self).items()}


def from_change(change: Change) -> Finding:
    """Return the finding that a mend answers."""
    return Finding(
        change.severity,
        change.name,
        change.node,
        change.what,
        change.why,
        change.done,
        "guess" if change.guess else "safe",
    )


def from_error(error: SpikeportError, node: str = "", file: str = "") -> Finding:
    """Return the finding for what no mend answers; `file` is not repeated in it."""
    what = error.what.removeprefix(f"{printable(file)}: ") if file else error.what
    return Finding("error", "refused", node, what, error.why, error.fix, "by hand")


def in_order(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return the findings, the worst first, otherwise as they were found."""
    return tuple(sorted(findings, key=lambda each: ORDER.index(each.severity)))
