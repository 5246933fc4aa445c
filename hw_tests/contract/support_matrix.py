"""Run the conformance suite on every backend and write docs/support.json and docs/support.md.

    python -m hw_tests.contract.support_matrix

Needs Brian2 and an interpreter with Lava. Ends with 1 where two backends differ, and then writes
nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hw_tests.contract.conformance import suite
from hw_tests.contract.conformance.matrix import as_json, as_page, matrix_of
from spikeport.backends import brian2

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> int:
    """Write both files, or say what differs."""
    findings: list[suite.Finding] = []
    placed: list[suite.Placed] = []
    for case in suite.all_cases():
        findings += suite.floats(case, brian2)
        found, taken = suite.integers(case)
        findings += found
        placed += taken
    findings += suite.lava(placed)
    wrong = [each for each in findings if each.status == "different"]
    for each in wrong:
        print(f"{each.primitive}, {each.variant} on {each.backend} {each.chip}: {each.note}")
    if wrong:
        return 1
    matrix = matrix_of(findings)
    (DOCS / "support.json").write_text(as_json(matrix), encoding="utf-8")
    (DOCS / "support.md").write_text(as_page(matrix), encoding="utf-8")
    print(f"{len(findings)} results of {len(suite.all_cases())} graphs in docs/support.json")
    return 0


if __name__ == "__main__":
    sys.exit(main())
