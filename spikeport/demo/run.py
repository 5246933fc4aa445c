"""`spikeport demo`: the shipped digits network, from its .nir file to a report."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeport.deployment import Progress, deploy

HERE = Path(__file__).parent


def run_demo(out: Path, say: Callable[[str], None], progress: Progress) -> dict[str, Any]:
    """Deploy the demo network to loihi1 and return the result of `deploy`.

    An older report of the demo in `out` is replaced; anything else there is left alone.
    """
    _remove_old_report(out)
    graph = HERE / "digits.nir"
    return deploy(
        graph, "loihi1", HERE / "digits.npz", out,
        command=f"spikeport demo --out {out}", say=say, progress=progress,
    )  # fmt: skip


def _remove_old_report(out: Path) -> None:
    """Remove the three files of a report, if they are all that the folder holds."""
    ours = {"report.html", "report.json", "report.md"}
    if out.is_dir() and {path.name for path in out.iterdir()} == ours:
        for name in ours:
            (out / name).unlink()
