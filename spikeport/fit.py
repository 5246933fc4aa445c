"""Does a network fit a chip: every limit that it breaks, and what is not published about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from spikeport.compiler import semantics as contract
from spikeport.compiler.chip import Chip, Limits
from spikeport.compiler.errors import (
    FitError,
    LoweringError,
    Refused,
    SpikeportError,
    Violation,
    printable,
)
from spikeport.compiler.fabric import Core
from spikeport.compiler.image import Image
from spikeport.compiler.network import Network
from spikeport.compiler.passes.flatten_graphs import flatten_graphs
from spikeport.compiler.pipeline import compile_network, to_clocked
from spikeport.compiler.quantize.peak import Peaks

#: Kinds whose synapses are counted all the same: the integrate-and-fire family.
COUNTED = ("IF", "LIF", "CubaLIF", "LI", "CubaLI", "I", "Threshold", "Relay", "Readout")
#: Figures of a core that are no limit by themselves, or whose absence says that there is none.
NO_LIMIT = {
    "lists": {"synapse_bits", "word_bits", "synapses_per_group", "group_overhead_bits",
              "delay_bits", "index_bits"},
    "crossbar": {"axon_types", "type_weight_bits", "targets_per_neuron"},
    "ensemble": {"input_expansion", "output_expansion", "layers"},
    "layers": {"square_kernel"},
    "processor": set[str](),
}  # fmt: skip
ASSUMED = "neurons do what NIR says in a step; another tool's reset or counts: --dialect"
#: Two ways of counting the memory of a layer: a core that has the one has no figure of the other.
IN_WORDS = {"kernel_entries", "neuron_entries", "bias_entries"}
IN_BYTES = {"weight_bytes", "input_bytes", "dense_inputs"}


def check_fit(net: Network, chip: Chip, chips: int = 1) -> dict[str, Any]:
    """Return whether a network fits so many chips; see `verbs.check`."""
    said = bool(net.semantics.dialect)
    if not said:
        net = net.with_semantics(replace(contract.preset("nir"), dt=net.semantics.dt))
    if net.semantics.dt is None:
        net = net.with_semantics(replace(net.semantics, dt=_stand_in_dt(net)))
    try:
        image = _image(net, chip, chips)
    except (FitError, LoweringError) as error:
        refused = refusal(error)
        if isinstance(error, LoweringError):  # there are limits to see all the same
            for key, more in refusal_of_limits(net, chip, chips).items():
                refused[key] += more
        return _verdict(chip, refused, None, said)
    nothing: dict[str, Any] = {"violations": [], "details": []}
    return _verdict(chip, nothing, dict(image.resources), said)


def refusal(error: SpikeportError) -> dict[str, Any]:
    """Return {"violations", "details"}: sentences, and their parts where there are figures."""
    if not isinstance(error, FitError):
        each = error.refusals if isinstance(error, Refused) else (error,)
        return {"violations": [str(one) for one in each], "details": [_spoken(one) for one in each]}
    return {
        "violations": list(error.violations),
        "details": [_detail(each) for each in error.found],
    }


def _spoken(error: SpikeportError) -> dict[str, Any]:
    what = f"{error.what}: {error.why}" if error.why else error.what
    return {"object": None, "what": what, "figure": None, "limit": None, "fix": error.fix}


def refusal_of_limits(net: Network, chip: Chip, chips: int) -> dict[str, Any]:
    """Return the limits that a network breaks on a chip that could do all that it does.

    Its populations are counted as if the chip had their kinds, resets and signals, in registers
    as wide as they need.
    """
    limits = Limits(
        weight_bits=chip.limits.weight_bits,
        message_bits=chip.limits.weight_bits.model_copy(update={"value": 16}),
        delay_steps=chip.limits.delay_steps,
        input_delay_steps=chip.limits.input_delay_steps,
    )
    able = {
        "kinds": COUNTED,
        "resets": contract.CHOICES["reset"],
        "signals": ("binary", "count", "graded"),
        "reset_when": ("same_step", "next_step"),
        "thresholds": ("greater", "greater_equal"),
        "arithmetic": "integer" if chip.arithmetic != "axon_types" else chip.arithmetic,
        "limits": limits,
    }
    try:
        _image(net, chip.model_copy(update=able), chips)
    except FitError as error:
        return refusal(error)
    except LoweringError:
        pass  # it cannot be counted
    return {}


def limit_notes(chip: Chip) -> list[str]:
    """Return sentences about limits that nobody has published, or that no source was seen for."""
    doubted = [
        name
        for part in (chip.topology, chip.limits, chip.core)
        for name, figure in part
        if getattr(figure, "basis", "") == "unverified"
    ]
    said = {
        "not published, so not checked": unpublished(chip.core),
        "taken from unverified figures": doubted,
    }
    return [
        f"{words}: {', '.join(name.replace('_', ' ') for name in names)}"
        for words, names in said.items()
        if names
    ]


def unpublished(core: Core) -> list[str]:
    """Return the names of the limits that a core's description leaves out.

    >>> from spikeport import chip
    >>> unpublished(chip("spinnaker1").core)[:2]
    ['in_axons', 'out_axons']
    """
    beside = set(NO_LIMIT[core.fabric])
    for one, other in (IN_WORDS, IN_BYTES), (IN_BYTES, IN_WORDS):
        if any(getattr(core, name, None) is not None for name in one):
            beside |= other
    return [name for name, value in core if value is None and name not in beside]


def _image(net: Network, chip: Chip, chips: int) -> Image:
    if chip.arithmetic == "float":
        from spikeport.processor import on_processor

        return on_processor(to_clocked(net), chip, chips)
    unmeasured = dict.fromkeys(flatten_graphs(net).neurons, Peaks(0.0, 0.0))
    return compile_network(net, chip, unmeasured, chips=chips)


def _detail(each: Violation | str) -> dict[str, Any]:
    if isinstance(each, str):
        return {"object": None, "what": printable(each), "figure": None, "limit": None, "fix": ""}
    return {
        "object": printable(each.object),
        "what": printable(each.what),
        "figure": each.figure,
        "limit": each.limit,
        "fix": printable(each.fix),
    }


def _verdict(
    chip: Chip, refused: Mapping[str, Any], resources: object, said: bool
) -> dict[str, Any]:
    return {
        "fits": not refused["violations"],
        "chip": chip.name,
        "level": chip.level,
        **refused,
        "resources": resources,
        "notes": [*limit_notes(chip), *(() if said else (ASSUMED,))],
    }


def _stand_in_dt(net: Network) -> float:
    """Return a step below every time constant, at which the slowest one still decays."""
    found = [
        getattr(node, name) for node in net.nodes.values() for name in getattr(node, "positive", ())
    ]
    shortest = min((float(tau.min()) for tau in found), default=1.0)
    longest = max((float(tau.max()) for tau in found), default=1.0)
    return min(shortest, max(shortest / 10, longest / 4000))
