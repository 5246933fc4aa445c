"""From findings to the support matrix: docs/support.json and the page docs/support.md."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from hw_tests.contract.conformance.neurons import RESETS, STEPPING
from hw_tests.contract.conformance.suite import CHIPS, Finding
from hw_tests.generate.graphs import PRIMITIVES

BACKENDS = ("reference", "emulator", "lava", "brian2")
#: What is not a primitive with parameters, but a NIR graph has it too.
AROUND = ("NIRGraph", "Input", "Output")
SPIKING = ("IF", "LIF", "CubaLIF")
MEANING = {
    "reference": "every spike equals Brian2's; u and v to 1e-12 of their largest value",
    "brian2": "every spike equals the reference's; u and v to 1e-12 of their largest value",
    "emulator": "u, v and spikes equal those of slow un-retimed integers, at the stated lags",
    "lava": "u, v and spikes equal the emulator's",
}
Matrix = dict[str, dict[str, dict[str, Any]]]


def matrix_of(findings: Iterable[Finding]) -> Matrix:
    """Return {primitive: {backend: {"status", "tests", "note", "variants", "refusals"}}}.

    The last two say more: {variant: status}, or {variant: {chip: status}} of integer backends;
    and the words of every refusal.
    """
    found = list(findings)
    matrix: Matrix = {}
    for primitive in (*PRIMITIVES, *AROUND):
        for backend in BACKENDS:
            own = [f for f in found if (f.primitive, f.backend) == (primitive, backend)]
            if own:
                matrix.setdefault(primitive, {})[backend] = _cell(own)
    return matrix


def _cell(found: list[Finding]) -> dict[str, Any]:
    ran = [each for each in found if each.status != "refused"]
    wrong = [each for each in ran if each.status == "different"]
    status = ran[0].status if ran else "refused"
    if wrong:
        status = "different"
    return {
        "status": status,
        "tests": len(ran),
        "note": _note(found, ran, wrong),
        "variants": _variants(found),
        "refusals": sorted({f"{each.chip}: {each.note}" for each in found if _no(each)}),
    }


def _note(found: list[Finding], ran: list[Finding], wrong: list[Finding]) -> str:
    if wrong:
        return "; ".join(f"{each.variant}: {each.note}" for each in wrong)
    parts = [MEANING[found[0].backend]] if ran else []
    for chip in CHIPS:
        here = [each for each in ran if each.chip == chip]
        if here:
            parts.append(f"{chip}: {_ran_in(here)}")
    refused = Counter(each.note for each in found if _no(each))
    parts += [f"{_times(count)} refused: {words}" for words, count in refused.items()]
    return "; ".join(parts)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _ran_in(here: list[Finding]) -> str:
    """Say how many variants ran, and on Lava in whose processes."""
    count = f"{len(here)} variant{'s' if len(here) > 1 else ''}"
    if here[0].backend != "lava":
        return count
    own = sum(bool(each.note) for each in here)
    if own == 0:
        return f"{count} in Lava's own LIF"
    rest = len(here) - own
    ours = f"{own} with a process of ours, which is no independent check of the step"
    return f"{count}, {rest} in Lava's own LIF, {ours}" if rest else f"{count}, {ours}"


def _no(finding: Finding) -> bool:
    return finding.status == "refused"


def _variants(found: list[Finding]) -> dict[str, Any]:
    variants: dict[str, Any] = {}
    for each in found:
        if each.chip:
            variants.setdefault(each.variant, {})[each.chip] = each.status
        else:
            variants[each.variant] = each.status
    return variants


def as_json(matrix: Matrix) -> str:
    """Return the file's text."""
    return json.dumps(matrix, indent=1) + "\n"


def as_page(matrix: Matrix) -> str:
    """Return the page's text, from what the JSON file says and nothing else."""
    lines = [
        "# What runs where",
        "",
        "Written by `make support` from a run of the conformance suite",
        "(`hw_tests/contract/conformance/`), never typed; `support.json` says so to machines.",
        "Every cell is backed by small graphs with random parameters, and compares two",
        "implementations that share no step:",
        "",
        *(f"* **{backend}**: {MEANING[backend]}." for backend in BACKENDS),
        "",
        "`exact` is equality of every bit, `float-equal` of every spike. A number counts graphs",
        "(on integers: graphs on chips). On `generic_graded` neurons step in 32 bits, which",
        "Lava's own LIF does not have: there a process of ours runs in Lava, and only Lava's",
        "connections, delays and order of steps are independent of the emulator.",
        "",
        "## NIR's primitives",
        "",
        *_summary(matrix, PRIMITIVES),
        "",
        "## Graphs",
        "",
        *_summary(matrix, AROUND),
        "",
        *_graphs(matrix),
        "## Resets and spikes",
        "",
        "`loihi1` and `generic_graded` are the chips whose integers run, on the emulator and on",
        "Lava alike; `-` is refused by name.",
        "",
        *_rules(matrix, RESETS, SPIKING),
        "",
        "## Time steps",
        "",
        *_rules(matrix, STEPPING, ("LIF", "CubaLIF", "LI", "CubaLI")),
        "",
        "## Variants of the other primitives",
        "",
        *_others(matrix),
        "",
        "## Refusals",
        "",
        *_refusals(matrix),
    ]
    return "\n".join(lines) + "\n"


def _summary(matrix: Matrix, names: Iterable[str]) -> list[str]:
    rows = [["", *BACKENDS]]
    for name in names:
        cells = [matrix[name][backend] for backend in BACKENDS]
        rows.append([name, *(f"{each['status']} ({each['tests']})" for each in cells)])
    return _table(rows)


def _graphs(matrix: Matrix) -> list[str]:
    rows = [["", "variant", "floats", *CHIPS]]
    for name in AROUND:
        rows += [[name, variant, *_row(matrix, name, variant)] for variant in _known(matrix, name)]
    return [*_table(rows), ""]


def _rules(matrix: Matrix, rules: Mapping[str, object], kinds: tuple[str, ...]) -> list[str]:
    """Return a row per rule; kinds that fare alike share one."""
    rows = [["rule", "kinds", "floats", *CHIPS]]
    for rule in rules:
        alike: dict[tuple[str, ...], list[str]] = {}
        for kind in kinds:
            if rule in _known(matrix, kind):
                alike.setdefault(tuple(_row(matrix, kind, rule)), []).append(kind)
        rows += [[f"`{rule}`", ", ".join(names), *row] for row, names in alike.items()]
    return _table(rows)


def _others(matrix: Matrix) -> list[str]:
    told = {*RESETS, *STEPPING}
    rows = [["", "variant", "floats", *CHIPS]]
    for name in PRIMITIVES:
        rows += [
            [name, variant, *_row(matrix, name, variant)]
            for variant in _known(matrix, name)
            if variant not in told or name == "Threshold"
        ]
    return _table(rows)


def _known(matrix: Matrix, name: str) -> Iterable[str]:
    known: dict[str, Any] = matrix[name]["reference"]["variants"]
    return known


def _row(matrix: Matrix, name: str, variant: str) -> list[str]:
    """Return the floats' status, and per chip that of emulator and Lava."""
    cells = matrix[name]
    row = [cells["reference"]["variants"][variant]]
    for chip in CHIPS:
        two = [cells[each]["variants"][variant][chip] for each in ("emulator", "lava")]
        shown = ["-" if each == "refused" else each for each in dict.fromkeys(two)]
        row.append(shown[0] if len(shown) == 1 else f"emulator {two[0]}, lava {two[1]}")
    return row


def _refusals(matrix: Matrix) -> list[str]:
    words = {
        each: None
        for cells in matrix.values()
        for cell in cells.values()
        for each in cell["refusals"]
    }
    return [f"* {each}" for each in words] or ["None."]


def _table(rows: list[list[str]]) -> list[str]:
    head, *rest = (f"| {' | '.join(row)} |" for row in rows)
    return [head, f"|{'---|' * len(rows[0])}", *rest]
