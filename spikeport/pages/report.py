"""The noun `Report`: parity and cost on a page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spikeport.compiler.measure.energy import Cost
from spikeport.compiler.measure.parity import Parity


@dataclass(frozen=True, eq=False)
class Report:
    """Plain values, and how to put them into a folder.

    Attributes:
        result: the schema of `deploy`; what was not measured is missing.
    """

    result: Mapping[str, Any]

    def save(self, folder: str | Path) -> dict[str, str]:
        """Write report.html, report.json and report.md; returns {name: path}.

        Raises:
            OutputError: the folder holds something else already.
        """
        from spikeport.files import check_folder
        from spikeport.pages import write_report

        target = check_folder(Path(folder))
        return {key: str(target / name) for key, name in write_report(self.result, target).items()}


def report(parity: Parity, cost: Cost | None = None, **more: Any) -> Report:
    """Return a report of what was compared and what it costs.

    Args:
        parity: of the emulator against the reference, or of Lava against the emulator.
        cost: under one column.
        more: further keys of the result of `deploy`, such as `graph="digits.nir"`.
    """
    from spikeport import __version__
    from spikeport.costed import energy_plain
    from spikeport.pages.verdict import WORDING

    side = f"{parity.got}_vs_{parity.expected}"
    result: dict[str, Any] = {
        "spikeport": __version__,
        "complete": False,
        "parity": {side: parity.to_dict(), "wording": WORDING},
        "samples": parity.samples,
        **more,
    }
    if cost is not None:
        result["energy"] = energy_plain({cost.column: cost}, cost)
    return Report(result)
