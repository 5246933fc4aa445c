"""Place a Program on one core of input channels, hidden neurons and readouts (Xylo).

A population that is an output becomes readouts; every other one, with relays and the bias neuron,
becomes hidden neurons, numbered such that those that take input come first and those that feed the
readouts last. All hidden neurons may reach each other; layers are parts of one recurrent matrix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError, FitError, Violation, counted
from spikeport.compiler.fabric import Ensemble
from spikeport.compiler.figure import Figure
from spikeport.compiler.image import CoreUse, Image, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.routes import Routes
from spikeport.compiler.program import Program


@dataclass(frozen=True)
class EnsemblePlan:
    """Where everything is in the core.

    Attributes:
        channels: (input population, delay) -> number of its first channel; an input that is read
            at several delays takes channels for each, and the host sends it to them later.
        hidden: population -> number of each of its neurons among the hidden ones, (n,).
        readouts: population -> number of its first readout.

    Where the hidden numbers do not follow the order of the program's populations, the events of a
    step come in another order than in the emulator, which matters only to a current that saturates
    between two of them.
    """

    channels: Mapping[tuple[str, int], int]
    hidden: Mapping[str, Array]
    readouts: Mapping[str, int]


@dataclass(frozen=True, eq=False)
class Roles:
    """What each population is on the chip, and which of its neurons do what.

    Attributes:
        channels: (input population, delay), in order.
        hidden, outputs: populations.
        taking, feeding: hidden population -> does a neuron take input, or feed a readout, (n,).
    """

    channels: tuple[tuple[str, int], ...]
    hidden: tuple[str, ...]
    outputs: tuple[str, ...]
    taking: Mapping[str, Array]
    feeding: Mapping[str, Array]


def place_ensemble(program: Program, chip: Chip, chips: int) -> Image:
    """Return the Program on the one core of a chip.

    Raises:
        FitError: every limit that is broken, with the figure, the limit and a fix.
        ChipError: the chip is none with such a core.
    """
    core = chip.core
    if not isinstance(core, Ensemble):
        raise ChipError(f"{chip.name} has no core of inputs, hidden neurons and readouts")
    roles = _roles(program)
    sizes = {name: pop.size for name, pop in program.populations.items()}
    violations = tuple(
        (
            *_too_many(program, roles, core),
            *_expansions(program, roles, core),
            *_forbidden(program, roles),
        )
    )
    if violations:
        limits = counted(len(violations), "limit")
        raise FitError(f"{program.name} breaks {limits} of {chip.name}", violations)
    slices = tuple(Slice(name, np.arange(sizes[name]), 0) for name in program.neurons)
    held = {
        "inputs": (sum(sizes[name] for name, _ in roles.channels), _limit(core.inputs)),
        "hidden": (sum(sizes[name] for name in roles.hidden), _limit(core.hidden)),
        "outputs": (sum(sizes[name] for name in roles.outputs), _limit(core.outputs)),
        "hidden_with_input": (_count(roles.taking), _limit(core.input_expansion)),
        "hidden_with_output": (_count(roles.feeding), _limit(core.output_expansion)),
    }
    synapses = sum(each.count for each in program.synapses)
    use = CoreUse(0, 0, *chip.tile(0), synapses, held)
    plan = _plan(program, roles, core)
    return Image(program, chip, slices, Routes(program, slices), (use,), chips, plan)


def _limit(figure: Figure | None) -> int | None:
    return None if figure is None else figure.whole


def _count(chosen: Mapping[str, Array]) -> int:
    return sum(int(np.count_nonzero(each)) for each in chosen.values())


def _roles(program: Program) -> Roles:
    outputs = tuple(dict.fromkeys(program.outputs.values()))
    hidden = tuple(name for name in program.neurons if name not in outputs)
    taking = {name: np.zeros(program.populations[name].size, bool) for name in hidden}
    feeding = {name: np.zeros(program.populations[name].size, bool) for name in hidden}
    channels: dict[tuple[str, int], None] = {}
    for each in program.synapses:
        used = sp.csr_matrix(each.mantissa) != 0
        if each.pre in program.inputs:
            channels[each.pre, each.delay_steps] = None
            if each.post in taking:
                taking[each.post] |= np.asarray(used.sum(axis=1)).ravel() > 0
        elif each.pre in feeding and each.post in outputs:
            feeding[each.pre] |= np.asarray(used.sum(axis=0)).ravel() > 0
    for name in program.inputs:  # one that nobody reads has its channels all the same
        if not any(name == known for known, _ in channels):
            channels[name, 0] = None
    return Roles(tuple(sorted(channels)), hidden, outputs, taking, feeding)


def _too_many(program: Program, roles: Roles, core: Ensemble) -> Iterator[Violation]:
    sizes = {name: pop.size for name, pop in program.populations.items()}
    inputs = sum(sizes[name] for name, _ in roles.channels)
    if core.inputs is not None and inputs > core.inputs.whole:
        names = list(dict.fromkeys(name for name, _ in roles.channels))
        once = sum(sizes[name] for name in names)
        fix = f"bring it down to {core.inputs.whole} channels: pool them, or keep the busiest"
        if once <= core.inputs.whole:
            fix = "let no path skip a layer: an input that is read at two delays takes two channels"
        what = "input channels"
        yield Violation(" and ".join(names), what, inputs, core.inputs.whole, fix)
    hidden = sum(sizes[name] for name in roles.hidden)
    if hidden > core.hidden.whole:
        yield _too_wide(program, roles, hidden, core.hidden.whole)
    outputs = sum(sizes[name] for name in roles.outputs)
    if outputs > core.outputs.whole:
        over = outputs - core.outputs.whole
        fix = f"take {counted(over, 'neuron')} out of it, or choose a chip with more readouts"
        what = "readouts"
        yield Violation(" and ".join(roles.outputs), what, outputs, core.outputs.whole, fix)


def _too_wide(program: Program, roles: Roles, hidden: int, limit: int) -> Violation:
    """Say how many neurons of the largest layer, or of all, have to go, relays with them."""
    layers = [name for name in roles.hidden if not _is_relay(program, name)]
    sizes = {name: program.populations[name].size for name in layers}
    largest = max(layers, key=lambda name: sizes[name], default="")
    fewer = -(-(hidden - limit) // _places_of_one(program, roles, largest))
    fix = f"take {counted(fewer, 'neuron')} out of {largest!r}"
    if fewer >= sizes.get(largest, 0):
        each = max((_places_of_one(program, roles, name) for name in layers), default=1)
        fix = f"use at most {counted(limit // each, 'neuron')} in all hidden layers"
    repeated = sum(program.populations[name].size for name in roles.hidden) - sum(sizes.values())
    what = f"hidden neurons ({repeated} of them relays)" if repeated else "hidden neurons"
    return Violation(" and ".join(layers), what, hidden, limit, fix)


def _is_relay(program: Program, name: str) -> bool:
    return program.populations[name].kind == "Relay"


def _places_of_one(program: Program, roles: Roles, name: str) -> int:
    """Return how many hidden neurons one neuron of a layer takes: its relays are like it."""
    size = program.populations[name].size if name else 0
    return 1 + sum(
        _is_relay(program, other)
        and other.startswith(f"{name}.")
        and program.populations[other].size == size
        for other in roles.hidden
    )


def _expansions(program: Program, roles: Roles, core: Ensemble) -> Iterator[Violation]:
    """Only so many of the first hidden neurons take input, and of the last feed the readouts."""
    first, last = core.input_expansion, core.output_expansion
    taking, feeding = _count(roles.taking), _count(roles.feeding)
    broken = False
    parts = (
        (taking, first, roles.taking, "hidden neurons that take input",
         "let at most {limit} neurons take input, and put the others in a layer behind them"),
        (feeding, last, roles.feeding, "hidden neurons that feed the readout",
         "put a hidden layer of at most {limit} neurons before the output"),
    )  # fmt: skip
    for figure, limit, chosen, what, fix in parts:
        if limit is not None and figure > limit.whole:
            broken = True
            names = [name for name, each in chosen.items() if each.any()]
            most = _room_for_layers(program, roles, names, chosen, limit.whole)
            yield Violation(" and ".join(names), what, figure, limit.whole, fix.format(limit=most))
    if broken or first is None or last is None:
        return
    both = {name: roles.taking[name] & roles.feeding[name] for name in roles.hidden}
    hidden = sum(each.size for each in both.values())
    between = hidden + _count(both)  # these must be among the first and among the last
    most = first.whole + last.whole
    if _count(both) and between > most:
        yield Violation(
            " and ".join(name for name, each in both.items() if each.any()),
            "places among the hidden neurons, those that take input and feed the readout counted "
            "twice,",
            between,
            most,
            f"let no neuron do both: put a hidden layer between, or use {between - most} fewer",
        )


def _room_for_layers(
    program: Program, roles: Roles, names: list[str], chosen: Mapping[str, Array], limit: int
) -> int:
    """Return for how many of the network's own neurons there is room, relays beside them."""
    layers = [name for name in names if not _is_relay(program, name)]
    theirs = sum(
        int(np.count_nonzero(chosen[name]))
        for name in names
        if _is_relay(program, name) and not any(name.startswith(f"{one}.") for one in layers)
    )
    each = max(
        (1 + sum(other.startswith(f"{name}.") for other in names) for name in layers), default=1
    )
    return max(limit - theirs, 0) // each


def _forbidden(program: Program, roles: Roles) -> Iterator[Violation]:
    back: dict[str, int] = {}
    direct: dict[str, int] = {}
    for each in program.synapses:
        count = int((sp.csr_matrix(each.mantissa) != 0).nnz)
        if each.pre in roles.outputs:
            back[each.pre] = back.get(each.pre, 0) + count
        elif each.pre in program.inputs and each.post in roles.outputs:
            direct[each.post] = direct.get(each.post, 0) + count
    for name, count in back.items():
        if count:
            fix = (
                f"take out what {name!r} sends back, or make it a hidden layer and put a readout "
                "behind it"
            )
            yield Violation(name, "synapses from a readout", count, 0, fix)
    for name, count in direct.items():
        if count:
            fix = "put a hidden layer between the input and the readout"
            yield Violation(name, "synapses from an input to a readout", count, 0, fix)


def _plan(program: Program, roles: Roles, core: Ensemble) -> EnsemblePlan:
    """Number everything: hidden neurons that take input first, those that feed readouts last."""
    sizes = {name: pop.size for name, pop in program.populations.items()}
    channels, readouts, at = {}, {}, 0
    for key in roles.channels:
        channels[key] = at
        at += sizes[key[0]]
    at = 0
    for name in roles.outputs:
        readouts[name] = at
        at += sizes[name]
    numbers: Array = np.zeros(0, np.int64)
    if roles.hidden:
        taking = np.concatenate([roles.taking[name] for name in roles.hidden])
        feeding = np.concatenate([roles.feeding[name] for name in roles.hidden])
        numbers = _numbers(taking, feeding, _limit(core.output_expansion))
    cuts = np.cumsum([sizes[name] for name in roles.hidden])[:-1]
    parts = np.split(numbers, cuts) if roles.hidden else []
    return EnsemblePlan(channels, dict(zip(roles.hidden, parts, strict=True)), readouts)


def _numbers(taking: Array, feeding: Array, last: int | None) -> Array:
    """Return the number of each hidden neuron, (n,).

    Neurons that do neither stand behind those that do both, but for so many as would push these
    out of the `last` ones.
    """
    neither, both = np.flatnonzero(~taking & ~feeding), np.flatnonzero(taking & feeding)
    only_in, only_out = np.flatnonzero(taking & ~feeding), np.flatnonzero(~taking & feeding)
    behind = both.size + neither.size + only_out.size
    before = 0 if last is None else min(max(behind - last, 0), neither.size)
    order = np.concatenate([only_in, neither[:before], both, neither[before:], only_out])
    numbers = np.empty(taking.size, np.int64)
    numbers[order] = np.arange(taking.size)
    return numbers
