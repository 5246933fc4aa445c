"""`spikeport demo`: the shipped digits network, from its .nir file to a report."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from spikeport.deployment import deploy, write_result
from spikeport.files import check_folder
from spikeport.pages import FILES
from spikeport.prepared import Progress

HERE = Path(__file__).parent
COMMAND = "spikeport demo"


def run_demo(out: Path, say: Callable[[str], None], progress: Progress) -> dict[str, Any]:
    """Deploy the demo network to loihi1 and return the result of `deploy`.

    An older report of the demo in `out` is replaced, when the new one is there; anything else in
    it is left alone.

    Raises:
        OutputError: the folder holds something else.
    """
    if not _is_demo_report(out):
        check_folder(out)
    result = deploy(
        HERE / "digits.nir", "loihi1", HERE / "digits.npz",
        command=f"{COMMAND} --out {out}", say=say, progress=progress,
    )  # fmt: skip
    result["files"] = write_result(result, out)
    return result


def _is_demo_report(folder: Path) -> bool:
    """Is a report of the demo, and nothing else, in this folder."""
    try:
        if {path.name for path in folder.iterdir()} != set(FILES.values()):
            return False
        old = json.loads((folder / FILES["report_json"]).read_text("utf8"))
        return str(old["command"]).startswith(COMMAND)
    except (OSError, ValueError, KeyError, TypeError):
        return False
