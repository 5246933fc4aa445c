"""From a recipe to everything that a training needs, checked before anything is computed."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import spikeport.models.neurons  # noqa: F401 - registers the neuron kinds
from spikeport.compiler.errors import MissingError, RecipeError, counted, nearest
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.nir import read_network
from spikeport.compiler.measure.decode import check_decoder, needs_v
from spikeport.compiler.memory import check_free
from spikeport.compiler.network import Input, Network
from spikeport.models.data.batches import batches
from spikeport.models.data.dataset import Dataset
from spikeport.models.data.library import open_data
from spikeport.models.training.checkpoint import network_digest
from spikeport.models.training.parameters import Coordinates, coordinates
from spikeport.models.training.recipe import NetworkPart, TrainingRecipe

if TYPE_CHECKING:
    from spikeport.models.training.integers import Compile
    from spikeport.models.training.simulator import Trainable

#: Samples that the scales of a training in integers are chosen on.
CALIBRATION = 256
MOST_UPDATES = (1 << 31) - 1  # optax counts in int32


@dataclass(frozen=True, eq=False)
class Prepared:
    """A training that can begin.

    Attributes:
        recipe: what is asked for.
        trainable: the network, differentiable.
        data: where samples come from.
        coordinates: what is learned.
        input, output: populations that are fed and decoded.
        spiking: populations of neurons that send spikes, in the network's order.
        digest: of the initial network.
        compile_for_chip: quantizes, where the recipe wants it.
    """

    recipe: TrainingRecipe
    trainable: Trainable
    data: Dataset
    coordinates: Coordinates
    input: str
    output: str
    spiking: tuple[str, ...]
    digest: str
    compile_for_chip: Compile | None = None

    @property
    def needs_v(self) -> bool:
        """Does the loss or the decoder read v of the output."""
        return needs_v(self.recipe.decode) or self.recipe.loss.name == "membrane"

    @property
    def batches(self) -> int:
        """Steps of the optimiser in an epoch."""
        return len(self.data.split("train")) // self.recipe.batch

    def calibration(self) -> Array:
        """Return the first samples to learn from, for the quantizer, (k, steps, n)."""
        found: list[Array] = []
        for x, _ in self._batches("train", 0, 0, shuffle=False):
            found.append(x)
            if sum(map(len, found)) >= CALIBRATION:
                break
        return np.concatenate(found)[:CALIBRATION]

    def training(self, epoch: int, first: int = 0) -> Iterator[tuple[Array, Array]]:
        """Yield the batches of an epoch from number `first` on: x (k, steps, n), labels (k,)."""
        return self._batches("train", epoch, first, shuffle=True)

    def testing(self) -> Iterator[tuple[Array, Array]]:
        """Yield the test split, encoded alike every time."""
        return self._batches("test", 0, 0, shuffle=False)

    def _batches(
        self, split: str, epoch: int, first: int, shuffle: bool
    ) -> Iterator[tuple[Array, Array]]:
        recipe = self.recipe
        return batches(
            self.data.split(split), recipe.batch,
            encoder=recipe.encoder.name if recipe.encoder else None, steps=recipe.steps,
            options=recipe.encoder.options if recipe.encoder else {},
            seed=recipe.seed, epoch=epoch, first=first, shuffle=shuffle,
            shift=recipe.data.shift if shuffle else 0,
        )  # fmt: skip


def prepare(
    recipe: TrainingRecipe, beside: Path, compile_for_chip: Compile | None = None
) -> Prepared:
    """Open the network and the data of a recipe, and check that all fits.

    Args:
        recipe: what is asked for.
        beside: folder that the recipe's paths are relative to.
        compile_for_chip: quantizes a network, for a recipe that wants it.

    Raises:
        RecipeError: the recipe asks for what the network or the data does not have.
        DataError: the data set is unknown, not there, lacks a split, or its encoder is wrong.
        LoadError: the .nir file is no network.
        MissingError: jax or optax is not installed.
    """
    try:
        import jax  # noqa: F401
        import optax  # noqa: F401
    except ImportError as error:
        raise MissingError(
            "training needs jax and optax",
            " ".join(str(error).split())[:160],
            'pip install "spikeport[train]"',
        ) from None
    net = open_network(recipe.network, beside, recipe.seed)
    folder = None if recipe.data.folder is None else beside / recipe.data.folder
    data = open_data(recipe.data.name, folder, **recipe.data.options)
    return prepared(recipe, net, data, compile_for_chip)


def prepared(
    recipe: TrainingRecipe, net: Network, data: Dataset, compile_for_chip: Compile | None = None
) -> Prepared:
    """Return the training of a network on a data set; see `prepare`."""
    from spikeport.models.training.simulator import trainable

    if net.semantics.dt is None:
        raise RecipeError(
            f"{net.name} does not say what a step is",
            "a network is trained as it will be run",
            'sp.write(sp.load("net.nir", dialect="snntorch", dt=1e-4), "said.nir")',
        )
    ready = trainable(net)
    clocked = ready.clocked
    given = Prepared(
        recipe, ready, data, coordinates(ready.initial, recipe.learn, net.semantics),
        _one_input(ready.net), ready.output,
        tuple(each for each in clocked.neurons if clocked.populations[each].signal != "analog"),
        network_digest(ready.net, ready.initial),
        compile_for_chip if recipe.quantize is not None else None,
    )  # fmt: skip
    _check_output(given)
    if given.batches * recipe.epochs >= MOST_UPDATES:
        raise RecipeError(
            f"{recipe.epochs} epochs are too many", f"the optimiser counts up to {MOST_UPDATES}",
            f"epochs: {MOST_UPDATES // max(given.batches, 1)} at most",
        )  # fmt: skip
    _check_memory(given, ready.net)
    _check_samples(given, ready.net)
    if given.compile_for_chip is not None:  # so that an hour of floats is not in vain
        from spikeport.models.training.integers import in_integers

        start = given.coordinates.start()
        in_integers(ready, given.coordinates, start, given.compile_for_chip, given.calibration())
    return given


def open_network(part: NetworkPart, beside: Path, seed: int) -> Network:
    """Return a network of the library, its weights drawn from `seed`, or that of a .nir file.

    Raises:
        RecipeError: no such network, or options for a file.
        GraphError: the network has no such size.
        LoadError: the file cannot be read.
    """
    import nir

    from spikeport.models.networks.library import NETWORKS, build

    if part.name.endswith(".nir"):
        if part.options:
            raise RecipeError("network: a file has no options", part.name, "leave them out")
        return read_network(beside / part.name)
    if part.name not in NETWORKS:
        raise RecipeError(
            f"network: there is no network {part.name!r}",
            f"known are {', '.join(NETWORKS)}, and paths that end in .nir",
            f"network: {nearest(part.name, NETWORKS)}",
        )
    if "seed" in part.options:
        raise RecipeError(
            "network: seed is none of its options", "weights are drawn from the recipe's own seed",
            f"seed: {part.options['seed']}, at the left margin",
        )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"{part.name}.nir"
        nir.write(path, build(part.name, seed=seed, **part.options))
        return replace(read_network(path), name=part.name)


def _one_input(net: Network) -> str:
    inputs = net.of_type(Input)
    if len(inputs) != 1:
        raise RecipeError(
            f"{net.name} has {len(inputs)} inputs", "samples of a data set feed one",
            "train a network with one Input node",
        )  # fmt: skip
    return inputs[0]


def _check_output(given: Prepared) -> None:
    """Check that loss and decoder find what they read, and that there is a neuron per class."""
    recipe, spikes = given.recipe, given.output in given.spiking
    check_decoder(recipe.decode, given.output, spikes)
    if not spikes and recipe.loss.name != "membrane":
        raise RecipeError(
            f"the loss {recipe.loss.name!r} reads spikes",
            f"the output {given.output!r} does not spike",
            "loss: membrane",
        )
    size = given.trainable.populations[given.output]
    if size < given.data.classes:
        raise RecipeError(
            f"the output {given.output!r} has {size} neurons",
            f"the data set {given.data.name} has {given.data.classes} classes",
            "choose a network with a neuron for each class",
        )


def _check_memory(given: Prepared, net: Network) -> None:
    """Check that a step has room: its input, and of each neuron three floats a step to go back."""
    recipe, split = given.recipe, given.data.split("train")
    steps = split.shape[0] if split.timed else recipe.steps or 1
    wide = math.prod(net.nodes[given.input].shape)
    neurons = sum(given.trainable.populations.values())
    cells = recipe.batch * steps * (wide + 3 * neurons)
    check_free(
        cells * np.dtype(recipe.precision).itemsize,
        f"a batch of {recipe.batch} samples x {counted(steps, 'step')} x "
        f"{counted(wide + neurons, 'neuron')}",
        "lower batch, or take fewer steps or neurons",
    )


def _check_samples(given: Prepared, net: Network) -> None:
    """Check both splits, what their encoder takes, and that a sample is as wide as the input."""
    given.data.split("test")
    given.training(0)
    x, _ = next(given.testing())
    wide = math.prod(net.nodes[given.input].shape)
    if x.shape[2] != wide:
        raise RecipeError(
            f"samples of {given.data.name} have {x.shape[2]} values a step",
            f"the input {given.input!r} of {net.name} has {wide}",
            "choose the network for this data set, or options of the data that give this size",
        )


def padded(x: Array, labels: Array, batch: int) -> tuple[Array, Array]:
    """Return a batch filled up to its size with empty samples: one shape is compiled once."""
    short = batch - len(x)
    if not short:
        return x, labels.astype(np.int32)
    more: Any = [(0, short)] + [(0, 0)] * (x.ndim - 1)
    return np.pad(x, more), np.pad(labels, (0, short)).astype(np.int32)
