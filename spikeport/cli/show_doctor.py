"""What `spikeport doctor` prints: of the machine, and of a graph."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from spikeport.compiler.errors import counted

MOST_LINES = 25  # of a list; --json has all


def print_doctor(plain: Mapping[str, Any]) -> None:
    """Print what is on this machine, and what is missing last."""
    _print_nested({name: value for name, value in plain.items() if name != "missing"}, 0)
    for missing in plain["missing"]:
        why = f": {missing['why']}" if missing["why"] else ""
        print(f"missing: {missing['what']}{why}\n  fix: {missing['fix']}")


def _print_nested(plain: Mapping[str, Any], depth: int) -> None:
    for name, value in plain.items():
        if isinstance(value, Mapping):
            print(f"{'  ' * depth}{name}:")
            _print_nested(value, depth + 1)
        else:
            print(f"{'  ' * depth}{name}: {'none' if value is None else value}")


def print_graph(plain: Mapping[str, Any]) -> None:
    """Print what a graph is, what is wrong with it, who wrote it and who can run it."""
    for part in (_summary, _origin, _findings, _platforms, _fix):
        for line in part(plain):
            print(line)


def _summary(plain: Mapping[str, Any]) -> Iterator[str]:
    found = plain["summary"]
    types = ", ".join(f"{count} {kind}" for kind, count in found["types"].items())
    nested = f", {counted(found['nested'], 'nested graph')}" if found["nested"] else ""
    yield f"{plain['graph']}: {types}{nested}, {counted(found['edges'], 'edge')}"
    if found["neurons"] is not None:
        ports = [
            f"{name} {' x '.join(map(str, shape))}"
            for name, shape in (*found["inputs"].items(), *found["outputs"].items())
        ]
        loops = ", recurrent" if found["loops"] else ""
        yield (
            f"  {counted(found['neurons'], 'neuron')}, {counted(found['weights'], 'weight')}"
            f"{loops}; {', '.join(ports)}"
        )
    if found["semantics"]:
        said = found["semantics"]
        yield f"  semantics in the file: {said['dialect']}, dt {said['dt']}"
    else:
        yield f"  not in the file: {', '.join(found['lacking'].values())}"


def _origin(plain: Mapping[str, Any]) -> Iterator[str]:
    found = plain["origin"]
    version = f"nir {found['version']}" if found["version"] else "an unknown version of nir"
    yield f"written with {version}; which tool it was is not in the file"
    for tool in found["tools"]:
        yield f"  looks like {tool['dialect']}: {'; '.join(tool['evidence'])}"
    for doubt in found["doubts"]:
        yield f"  doubt: {doubt}"
    if found["try"]:
        yield f"  try first: {found['try']}"


def _findings(plain: Mapping[str, Any]) -> Iterator[str]:
    counts = ", ".join(counted(number, word) for word, number in plain["counts"].items() if number)
    yield counts or "nothing is wrong with it"
    alike: dict[tuple[str, ...], list[str]] = {}
    for each in plain["findings"]:
        key = tuple(each[part] for part in ("severity", "name", "what", "why", "fix", "repair"))
        alike.setdefault(key, []).append(each["node"])
    for (severity, name, what, why, fix, repair), nodes in list(alike.items())[:MOST_LINES]:
        yield f"  {severity} {name}{_listed(nodes)}: {what}{f' ({why})' if why else ''}"
        if fix:
            word = {"safe": "--fix", "guess": "--fix --guess", "by hand": "by hand"}
            yield f"    {word.get(repair, 'so')}: {fix}"
    more = len(alike) - MOST_LINES
    if more > 0:
        yield f"  and {more} more (--json lists them)"


def _listed(nodes: list[str]) -> str:
    named = [f"'{node}'" for node in nodes if node]
    rest = f" and {len(named) - 6} more" if len(named) > 6 else ""
    return f" {', '.join(named[:6])}{rest}" if named else ""


def _platforms(plain: Mapping[str, Any]) -> Iterator[str]:
    yield f"who can run it (as {plain['tried_as']}, mended where that was needed)"
    for row in plain["platforms"]["ours"]:
        verdict = {True: "yes", False: "no", None: "not tried"}[row["runs"]]
        yield f"  {verdict:<4} {row['name']} ({row['runs_on']}){_because(row['because'])}"
    yield "who says that it can, not checked by us"
    for row in plain["platforms"]["others"]:
        lacks = [f"reads no {kind}" for kind in row["missing"]]
        verdict = "yes" if row["claims"] else "no"
        yield f"  {verdict:<4} {row['name']} ({row['runs_on']}){_because(lacks + row['because'])}"
    sources = dict.fromkeys(text for row in plain["platforms"]["others"] for text in row["source"])
    yield f"  by {'; '.join(sources)}"


def _because(texts: list[str]) -> str:
    return f": {', '.join(texts[:6])}" if texts else ""


def _fix(plain: Mapping[str, Any]) -> Iterator[str]:
    found = plain["fix"]
    if found is None:
        return
    if not found["written"]:
        yield f"nothing was written: {found['why_not']}"
        return
    changes = found["changes"]
    yield (
        f"wrote {found['written']}: {counted(len(changes), 'change')}, "
        f"{counted(found['values_changed'], 'value')} of the file, all listed"
    )
    for change in changes[:MOST_LINES]:
        where = f" '{change['node']}'" if change["node"] else ""
        word = " (a guess)" if change["guess"] else ""
        yield f"  {change['name']}{where}{word}: {change['was']} -> {change['is']}"
    if len(changes) > MOST_LINES:
        yield f"  and {len(changes) - MOST_LINES} more (--json lists them)"
    yield f"  spikeport reads it; nir reads it: {found['nir']}"
