"""All that `spikeport doctor GRAPH` says of a file, as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from spikeport.compiler.errors import printable
from spikeport.compiler.semantics import PRESETS
from spikeport.graph_doctor.diagnose import Diagnosis, diagnose
from spikeport.graph_doctor.fix import check_free, fix
from spikeport.graph_doctor.origin import origin
from spikeport.graph_doctor.own import own_platforms
from spikeport.graph_doctor.platforms import other_platforms
from spikeport.graph_doctor.summary import summary

MOST_FINDINGS = 500  # of a file; the rest is counted


def examine_graph(path: Path, out: Path | None = None, guess: bool = False) -> dict[str, Any]:
    """Return what a NIR file holds, what is wrong with it, who wrote it and who can run it.

    Args:
        path: of the file.
        out: write the mended file there; nothing may be there yet.
        guess: make changes, too, that have another reading.

    Returns:
        `graph` (name), `ok` (nothing is left for which spikeport refuses it: in the file, or in
        the mended one where one was written), `counts` {severity: how many}, `findings`,
        `summary`, `origin`, `tried_as` (dialect), `platforms` {ours, others}, `fix` (None without
        `out`). The platforms are those of the graph as mended.

    Raises:
        LoadError: the file is not a readable NIR graph.
        OutputError: `out` exists or cannot be written.
    """
    if out is not None:
        check_free(out)
    found = diagnose(path)
    wrote = origin(found.tree)
    likely: dict[str, Any] = next(iter(wrote["tools"]), {"dialect": "nir", "dt": None})
    dialect = likely["dialect"] if likely["dialect"] in PRESETS else "nir"
    fixed = None if out is None else fix(found, out, guess)
    return {
        "graph": printable(path.name),
        "ok": not found.errors or bool(fixed and fixed["written"]),
        "counts": _counts(found),
        "findings": [each.to_dict() for each in found.findings[:MOST_FINDINGS]],
        "summary": summary(found.mended, found.net),
        "origin": wrote,
        "tried_as": dialect,
        "platforms": {
            "ours": own_platforms(found.net, dialect, likely["dt"]),
            "others": other_platforms(found.mended),
        },
        "fix": fixed,
    }


def _counts(found: Diagnosis) -> dict[str, int]:
    counts = {"error": 0, "warning": 0, "note": 0}
    for each in found.findings:
        counts[each.severity] += 1
    return counts
