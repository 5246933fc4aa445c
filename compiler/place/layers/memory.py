"""What a layer takes of a core's memory, where a core holds one layer.

DYNAP-CNN addresses its memories by bit fields, so taps, maps and output channels are rounded up
to powers of two (synsense/sinabs@904eb89, backend/dynapcnn/dynapcnn_layer.py, memory_summary).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from spikeport.compiler.place.layers.shape import Map, Window

#: Memories of a core by the names of `fabric.Layers` -> words after a number.
WORDS = {
    "kernel_entries": "kernel entries",
    "neuron_entries": "neuron entries",
    "bias_entries": "bias entries",
}


@dataclass(frozen=True)
class Layer:
    """A population as the layer of a core.

    Attributes:
        name: of the population.
        sources: populations that it reads, with the pooling of each; their kernel is one.
        before: channels, rows and columns that the kernel meets, after pooling.
        after: channels, rows and columns of its neurons.
        window: kernel, stride and padding.
        biases: bias entries, one for each channel, or 0.
        weight_bits: of a weight.
        dense: is it one dense layer, on chips that have a way of their own for these.
    """

    name: str
    sources: Mapping[str, int]
    before: Map
    after: Map
    window: Window
    biases: int
    weight_bits: int
    dense: bool = False

    @property
    def taps(self) -> int:
        """Weights of one output channel from one input channel."""
        return self.window.kernel[0] * self.window.kernel[1]


def next_power(number: int) -> int:
    """Return the smallest power of two that is not smaller.

    >>> [next_power(number) for number in (1, 2, 3, 25)]
    [1, 2, 4, 32]
    """
    return 1 << (number - 1).bit_length()


def kernel_entries(channels_in: int, taps: int, channels_out: int) -> int:
    """Return c * 2^(ceil(log2 taps) + ceil(log2 f)) words of kernel memory.

    >>> kernel_entries(2, 9, 8)  # 3 x 3 weights take 16 words
    256
    """
    return channels_in * next_power(taps) * next_power(channels_out)


def neuron_entries(after: Map) -> int:
    """Return f * 2^(ceil(log2 rows) + ceil(log2 columns)) words of neuron memory.

    >>> neuron_entries((8, 28, 28))
    8192
    """
    channels, rows, columns = after
    return channels * next_power(rows) * next_power(columns)


def entries_of(layer: Layer) -> dict[str, int]:
    """Return resource -> words that a layer takes, by the names of `fabric.Layers`."""
    return {
        "kernel_entries": kernel_entries(layer.before[0], layer.taps, layer.after[0]),
        "neuron_entries": neuron_entries(layer.after),
        "bias_entries": layer.biases,
    }


def weight_bytes(layer: Layer, channels: int) -> int:
    """Return the bytes of the weights of so many output channels."""
    return -(-layer.before[0] * layer.taps * channels * layer.weight_bits // 8)


def input_bytes(layer: Layer, bits: int) -> int:
    """Return the bytes of a layer's input map, at so many bits an activation."""
    channels, rows, columns = layer.before
    return -(-channels * rows * columns * bits // 8)
