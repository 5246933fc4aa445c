"""What commands print for people; `--json` prints the same values plain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from spikeport.cli.show_check import resources_words
from spikeport.compiler.errors import counted
from spikeport.compiler.network import Network
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.passes.infer_shapes import infer_shapes
from spikeport.pages import figures
from spikeport.pages.plain import figure
from spikeport.pages.units import NONE, SPACE, number, si


def inspected(net: Network) -> dict[str, Any]:
    """Return what is in a graph, as plain values."""
    shaped = infer_shapes(flatten_graphs(net))
    return {
        "graph": net.name,
        "nodes": {
            name: {
                "type": getattr(node, "nir_type", type(node).__name__),
                "shape": list(shaped.shapes[name]),
                "parameters": _parameters(node),
            }
            for name, node in shaped.nodes.items()
        },
        "edges": [list(edge) for edge in shaped.edges],
        "neurons": sum(int(np.prod(shaped.shapes[name])) for name in shaped.neurons),
        "weights": sum(_weights(node) for node in shaped.nodes.values()),
        "repairs": list(net.repairs),
        "semantics": net.semantics.to_dict() if net.semantics.dialect else None,
    }


def _parameters(node: Any) -> dict[str, Any]:
    """Return each parameter as its value, or as the range of its values."""
    shown: dict[str, Any] = {}
    for name, value in vars(node).items():
        if isinstance(value, np.ndarray):
            low, high = float(value.min(initial=np.inf)), float(value.max(initial=-np.inf))
            shown[name] = (
                low if low == high else {"min": low, "max": high, "shape": list(value.shape)}
            )
        else:
            shown[name] = list(value) if isinstance(value, tuple) else value
    return shown


def _weights(node: Any) -> int:
    weight = getattr(node, "weight", None)
    return int(weight.size) if isinstance(weight, np.ndarray) else 0


def print_inspected(plain: Mapping[str, Any]) -> None:
    """Print a graph as a table."""
    table = Table(title=escape(plain["graph"]))
    for column in ("node", "type", "shape", "parameters"):
        table.add_column(column)
    for name, node in plain["nodes"].items():
        parameters = ", ".join(
            f"{key} {_brief(value)}" for key, value in node["parameters"].items()
        )
        shape = " x ".join(map(str, node["shape"]))
        table.add_row(escape(name), node["type"], shape, escape(parameters))
    console = Console()
    console.print(table)
    console.print(f"{plain['neurons']} neurons, {plain['weights']} weights")
    for repair in plain["repairs"]:
        console.print(f"repaired: {escape(repair)}")
    semantics = plain["semantics"]
    if semantics is None:
        console.print(
            "semantics: not in the file; name its tool with --dialect, its step with --dt"
        )
    else:
        console.print(f"semantics: {semantics['dialect']}, dt {semantics['dt']}")


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return f"{value['min']:.4g} to {value['max']:.4g}"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def print_deployed(result: Mapping[str, Any]) -> None:
    """Print the table of a deployment."""
    console = Console()
    chip, parity = result["chip"]["name"], result["parity"]
    table = Table(title=f"{escape(result['graph'])} on {chip}", show_header=False)
    table.add_column(style="bold")
    table.add_column()
    for name, value in (
        ("data", f"{result['samples']} samples x {result['steps']} steps of {result['dt']:g} s"),
        ("semantics", _semantics(result)),
        ("accuracy", _accuracy(result["accuracy"])),
        ("chip vs reference", _against(parity["emulator_vs_reference"])),
        ("Lava vs emulator", _lava(result)),
        ("latency", counted(result["latency_steps"], "step")),
        ("resources", resources_words(result["resources"])),
        ("energy", _energy(result["energy"])),
        ("time", time_words(result["time"])),
    ):
        table.add_row(name, escape(value))
    console.print(table)
    explanation = parity["emulator_vs_reference"].get("explanation")
    if explanation:
        console.print(f"first difference: {escape(explanation['text'])}", highlight=False)
    for note in result["network_notes"]:
        console.print(f"note: {escape(note)}", highlight=False)
    for path in result["files"].values():
        console.print(f"wrote {escape(path)}", highlight=False)


def _semantics(result: Mapping[str, Any]) -> str:
    assumed = result["assumed"]
    dialect: str = result["semantics"]["dialect"]
    return dialect + (f", assumed: {', '.join(assumed)}" if assumed else "")


def _accuracy(accuracy: Mapping[str, Any]) -> str:
    if accuracy["reference"] is None:
        return "no labels"
    text = f"reference {accuracy['reference']:.2%}, chip {accuracy['emulator']:.2%}"
    if accuracy["lava"] is not None:
        text += (
            f"; on the {accuracy['lava_samples']} samples that Lava ran: "
            f"chip {accuracy['emulator_on_lava_samples']:.2%}, Lava {accuracy['lava']:.2%}"
        )
    return text


def _against(parity: Mapping[str, Any]) -> str:
    from spikeport.pages.verdict import analog_words

    said = []
    if parity["cells"]:
        share = 1 - parity["different"] / parity["cells"]
        said = [f"{share:.3%} of {parity['cells']} cells equal, each population at its lag"]
    if parity["spikes_repeated"] is not None:
        said.append(f"{parity['spikes_repeated']:.1%} of the spikes at their step")
    return "; ".join(said + [analog_words(*item) for item in parity["analog"].items()])


def _lava(result: Mapping[str, Any]) -> str:
    parity = result["parity"]["lava_vs_emulator"]
    if parity is None:
        return f"not run: {result['backends']['lava']['why'].splitlines()[0]}"
    if parity["different"]:
        return f"{parity['different']} of {parity['cells']} cells DIFFERENT"
    return f"{result['parity']['wording']}: all {parity['cells']} values of u, v and spikes"


def _energy(energy: Mapping[str, Any]) -> str:
    if not energy["known"]:
        return f"unknown: {energy['why']}"
    low, high = energy["interval"]
    static = _spaced(si(energy["static_joules_per_sample"], "J"))
    return (
        f"{joules(energy['joules_per_sample'])} per sample ({joules(low)} to {joules(high)}), "
        f"{energy['column']}, dynamic{_left_out(energy)}; "
        f"static {'unknown' if static == NONE else static}"
    )


def _left_out(energy: Mapping[str, Any]) -> str:
    kinds = [kind.replace("_", " ") for kind in energy["left_out"]]
    return f", without {', '.join(kinds)} (unverified)" if kinds else ""


def joules(value: float) -> str:
    """Return an energy with an SI prefix.

    >>> joules(7.18e-6)
    '7.18 µJ'
    """
    return _spaced(si(value, "J"))


def time_words(time: Mapping[str, Any]) -> str:
    """Return in one line how long a step and a sample take, or why that is not known.

    >>> time_words({"known": False, "why": "nothing is published"})
    'unknown: nothing is published'
    """
    if not figures.known(time):
        return figures.why_not(time)
    ends = [figures.step_words(time), si(figure(time, "latency", "seconds"), "s")]
    rate = number(figure(time, "throughput", "samples_per_second"))
    late = "" if time["budget"]["keeps_up"] else ", TOO SLOW for its time step"
    return _spaced(
        f"{ends[0]} per step, {ends[1]} per sample, {rate} samples per second, "
        f"{time['column']}, {figures.model_words(time)}{late}"
    )


def _spaced(text: str) -> str:
    return text.replace(SPACE, " ")
