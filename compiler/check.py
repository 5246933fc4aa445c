"""`check(noun)`: what must hold of a noun, run between every two verbs.

One small function per rule, one list of rules per noun. A rule returns sentences about what is
wrong; none is a user's mistake (those are refused where they are read), so a broken rule names
the step that broke it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import numpy as np

from spikeport.compiler.clocked import Clocked, Membrane
from spikeport.compiler.errors import SpikeportError
from spikeport.compiler.fixed import weight_range
from spikeport.compiler.image import Image
from spikeport.compiler.network import Network
from spikeport.compiler.program import Cell, Program
from spikeport.compiler.sparse import is_sparse

Noun = TypeVar("Noun", Network, Clocked, Program, Image)
Rule = Callable[[Any], Iterator[str]]


class BrokenNoun(SpikeportError):
    """A step of the compiler returned something that must not be."""


def check(noun: Noun, after: str) -> Noun:
    """Return the noun as it is.

    Args:
        noun: any of the compiler's nouns.
        after: name of the step that made it, for the message.

    Raises:
        BrokenNoun: what does not hold.
    """
    for rule in RULES[type(noun)]:
        for wrong in rule(noun):
            raise BrokenNoun(f"after {after}", wrong, "this is an error of spikeport: report it")
    return noun


def edges_meet_nodes(net: Network) -> Iterator[str]:
    """Every edge starts and ends at a node."""
    for source, target in net.edges:
        if source not in net.nodes or target not in net.nodes:
            yield f"the edge {source!r} -> {target!r} leads to no node"


def edges_are_single(net: Network) -> Iterator[str]:
    """No edge is there twice."""
    if len(set(net.edges)) < len(net.edges):
        yield "an edge is there twice"


def delays_are_whole_steps(clocked: Clocked) -> Iterator[str]:
    """No projection acts before its spike."""
    for each in clocked.projections:
        if each.delay < 0:
            yield f"{each.name!r} has the delay {each.delay}"


def matrices_fit_populations(noun: Clocked | Program) -> Iterator[str]:
    """A matrix has a row per post and a column per pre neuron."""
    if isinstance(noun, Clocked):
        parts = [(p.name, p.pre, p.post, p.matrix) for p in noun.projections]
    else:
        parts = [(s.name, s.pre, s.post, s.stored) for s in noun.synapses]
    for name, pre, post, matrix in parts:
        wanted = (noun.populations[post].size, noun.populations[pre].size)
        if matrix.shape != wanted:
            yield f"{name!r} is {matrix.shape}, its populations need {wanted}"


def outputs_are_neurons(noun: Clocked | Program) -> Iterator[str]:
    """What is read out has state."""
    for output, population in noun.outputs.items():
        if population not in noun.neurons:
            yield f"the output {output!r} reads {population!r}, which is not a neuron"


def floats_are_finite(clocked: Clocked) -> Iterator[str]:
    """Weights, decays and gains are numbers."""
    for each in clocked.projections:
        values = each.matrix.data if is_sparse(each.matrix) else each.matrix
        if not np.isfinite(np.asarray(values)).all():
            yield f"{each.name!r} holds a weight that is not finite"
    for name in clocked.neurons:
        cell = clocked.populations[name].cell
        if not isinstance(cell, Membrane):
            continue
        for field in ("keep_u", "keep_v", "gain_u", "gain_v", "drive_v", "v_reset", "v_initial"):
            if not np.isfinite(getattr(cell, field)).all():
                yield f"{field} of {name!r} is not finite"


def integers_fit_their_fields(program: Program) -> Iterator[str]:
    """Every register holds what its width can hold (hardware.md 1.1)."""
    arithmetic = program.arithmetic
    for name in program.neurons:
        cell = program.populations[name].cell
        if not isinstance(cell, Cell):
            continue
        ranges: Mapping[str, tuple[int, int]] = {
            "decay_u": (0, (1 << arithmetic.decay_bits) - 1),
            "decay_v": (0, arithmetic.forgets),
            "v_threshold": (0, arithmetic.never),
            "bias_exponent": (0, 31),
            "refractory_steps": (1, 1 << 20),
        }
        for field, (low, high) in ranges.items():
            values = getattr(cell, field)
            if values.min(initial=high) < low or values.max(initial=low) > high:
                yield f"{field} of {name!r} is outside {low} to {high}"


def weights_fit_their_bits(program: Program) -> Iterator[str]:
    """Mantissas are in range and already truncated."""
    for each in program.synapses:
        values, step = each.values, each.step
        low, high = weight_range(each.sign_mode, each.weight_bits)
        if int(values.min(initial=0)) * step < low or int(values.max(initial=0)) * step > high:
            yield f"a weight of {each.name!r} is outside {low} to {high}"
        even = step > 1 or not np.bitwise_or.reduce(values, initial=0) & 1
        if each.sign_mode == "mixed" and each.weight_bits == 8 and not even:
            yield f"a mixed-sign weight of {each.name!r} is odd"
        if each.delay_steps < 0:
            yield f"{each.name!r} has the delay {each.delay_steps}"


def registers_fit_the_chip(image: Image) -> Iterator[str]:
    """Everything that is written into a register is in the range that the chip states."""
    from spikeport.compiler.fabric import Lists

    limits, program = image.chip.limits, image.program
    named = {name for name, pop in program.populations.items() if pop.kind in image.chip.kinds}
    for name in program.neurons:
        cell = program.populations[name].cell
        if not isinstance(cell, Cell):
            continue
        for field, allowed in (
            ("bias_mantissa", limits.bias_mantissa),
            ("bias_exponent", limits.bias_exponent),
            ("refractory_steps", limits.refractory_steps),
            ("v_threshold", limits.threshold_mantissa),
        ):
            if field == "v_threshold" and not (cell.spiking and name in named):
                continue  # a readout's says "never", the bias neuron's 0
            values = getattr(cell, field)
            low, high = allowed.low, allowed.high
            if values.min(initial=high) < low or values.max(initial=low) > high:
                yield f"{field} of {name!r} is outside {low} to {high}"
    for each in program.synapses:
        listed = isinstance(image.chip.core, Lists)  # other fabrics' verifiers count the sums
        if listed and each.weight_bits > limits.weight_bits.value:
            yield f"the weights of {each.name!r} have {each.weight_bits} bits"
        exponents, delays = limits.weight_exponent, limits.delay_steps
        if not exponents.low <= each.exponent <= exponents.high:
            yield f"the exponent of {each.name!r} is {each.exponent}"
        least = image.chip.input_delay if each.pre in program.inputs else delays.low
        if not least <= each.delay_steps <= max(delays.high, least):
            yield f"the delay of {each.name!r} is {each.delay_steps}"


def placement_is_legal(image: Image) -> Iterator[str]:
    """The verifier, which shares no code with the mapper, agrees."""
    from spikeport.compiler.place.verify.verify import verify

    verify(image)
    yield from ()


RULES: Mapping[type, tuple[Rule, ...]] = {
    Network: (edges_meet_nodes, edges_are_single),
    Clocked: (
        delays_are_whole_steps,
        matrices_fit_populations,
        outputs_are_neurons,
        floats_are_finite,
    ),
    Program: (
        matrices_fit_populations,
        outputs_are_neurons,
        integers_fit_their_fields,
        weights_fit_their_bits,
    ),
    Image: (registers_fit_the_chip, placement_is_legal),
}
