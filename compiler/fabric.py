"""What one core of a chip can hold, by the way in which the chip is built; placement reads it.

A limit that is left out is not published: it is not checked, and the report says so.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from spikeport.compiler.figure import Counts, Figure, Row


class Lists(Counts):
    """Cores with compartments, in-axons and a memory of synapse lists (Loihi, SpiNNaker).

    The fan-out list of an in-axon is cut into groups of `synapses_per_group`; a group costs its
    synapses' bits and `group_overhead_bits`, rounded up to `word_bits`.

    Attributes:
        compartments: neurons of a core.
        in_axons, out_axons: entries of its axon tables.
        synaptic_memory_bits: for all lists.
        compartment_configs, threshold_configs: different sets of parameters that it can hold.
        delay_bits: stored with each synapse of a projection that has delays.
        index_bits: widths of a stored target index; a dense list stores none.
    """

    may_be_zero: ClassVar[tuple[str, ...]] = ("group_overhead_bits", "delay_bits")

    fabric: Literal["lists"]
    compartments: Figure
    in_axons: Figure | None = None
    out_axons: Figure | None = None
    synaptic_memory_bits: Figure | None = None
    compartment_configs: Figure | None = None
    threshold_configs: Figure | None = None
    synapse_bits: Figure | None = None
    word_bits: Figure | None = None
    synapses_per_group: Figure | None = None
    group_overhead_bits: Figure | None = None
    delay_bits: Figure | None = None
    index_bits: tuple[int, ...] = ()

    @model_validator(mode="after")
    def _formula_whole(self) -> Lists:
        formula = (self.word_bits, self.synapses_per_group, self.group_overhead_bits)
        if self.synaptic_memory_bits is not None and None in formula:
            raise ValueError(
                "synaptic_memory_bits needs its formula: word_bits, synapses_per_group, "
                "group_overhead_bits"
            )
        return self


class Crossbar(Counts):
    """Cores with a matrix of rows (axons) by columns (neurons): TrueNorth, ODIN, BrainScaleS-2.

    Attributes:
        neurons, axons: columns and rows of a core.
        axon_types: a row has one of so many types, a neuron one weight per type; None where
            every crossing has a weight of its own.
        type_weight_bits: of a weight per type, sign included.
        signed_rows: a row is excitatory or inhibitory: a source with weights of both signs
            takes two.
        targets_per_neuron: rows that a neuron can send to: 1, and more need splitters or copies.
            None: a neuron reaches all cores.
        own_row: a neuron's spikes enter by the row of its own number (ODIN).
    """

    fabric: Literal["crossbar"]
    neurons: Figure
    axons: Figure
    axon_types: Figure | None = None
    type_weight_bits: Figure | None = None
    signed_rows: bool = False
    targets_per_neuron: Figure | None = None
    own_row: bool = False

    @model_validator(mode="after")
    def _one_target(self) -> Crossbar:
        if self.targets_per_neuron is not None and self.targets_per_neuron.value != 1:
            raise ValueError("targets_per_neuron is 1, or left out where it reaches all cores")
        return self


class Ensemble(Counts):
    """One core of input channels, hidden neurons and readouts, all to all (Xylo).

    Attributes:
        inputs, hidden, outputs: how many there are.
        input_expansion, output_expansion: hidden neurons (the first, the last) that can take
            input and feed the readout; None: all.
        synapses_per_neuron: synaptic currents of a hidden neuron; networks here use one.
        layers: neuron layers that a network needs at least: nothing goes from input to readout.
        recurrent_outputs: may outputs feed back.
    """

    fabric: Literal["ensemble"]
    inputs: Figure | None = None
    hidden: Figure
    outputs: Figure
    input_expansion: Figure | None = None
    output_expansion: Figure | None = None
    synapses_per_neuron: Figure | None = None
    layers: Figure | None = None
    recurrent_outputs: bool = False


class Layers(Counts):
    """Cores that hold one convolution or dense layer each (Speck, Akida).

    Attributes:
        kernel_entries, neuron_entries, bias_entries: memory words of each core; layers are
            matched to cores.
        destinations: layers that one layer can send to.
        input_height, input_width, output_height, output_width, channels, kernel: largest extents.
        stride, pooling: allowed values.
        padding: largest.
        square_kernel: must height and width agree.
        weight_bytes, input_bytes: per core, where the memory is counted in bytes and a layer is
            split over cores by output channels (Akida).
        dense_inputs: largest of a dense layer, where it is no convolution as large as its map.
        thresholds: different thresholds of a core.
    """

    may_be_zero: ClassVar[tuple[str, ...]] = ("padding",)

    fabric: Literal["layers"]
    kernel_entries: Row | None = None
    neuron_entries: Row | None = None
    bias_entries: Row | None = None
    destinations: Figure | None = None
    input_height: Figure | None = None
    input_width: Figure | None = None
    output_height: Figure | None = None
    output_width: Figure | None = None
    channels: Figure | None = None
    kernel: Figure | None = None
    stride: Row | None = None
    pooling: Row | None = None
    padding: Figure | None = None
    square_kernel: bool = False
    weight_bytes: Figure | None = None
    input_bytes: Figure | None = None
    dense_inputs: Figure | None = None
    thresholds: Figure | None = None


class Processor(Counts):
    """A conventional processor: no limit that a network of this size would meet."""

    fabric: Literal["processor"]


Core = Annotated[Lists | Crossbar | Ensemble | Layers | Processor, Field(discriminator="fabric")]
