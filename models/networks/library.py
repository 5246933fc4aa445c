"""Every network that is built in code, by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from inspect import signature
from pathlib import Path
from typing import Any

import nir

from spikeport.compiler.errors import GraphError, nearest
from spikeport.models.networks.convolutional import mnist_cnn
from spikeport.models.networks.delays import delays
from spikeport.models.networks.perceptron import digits_mlp, mnist_mlp
from spikeport.models.networks.recurrent import recurrent
from spikeport.models.networks.residual import residual
from spikeport.models.networks.sigma_delta import sigma_delta
from spikeport.models.options import check_options

#: Name -> function of `seed` and sizes, all by name, to a graph with its semantics.
NETWORKS: Mapping[str, Callable[..., nir.NIRGraph]] = {
    "digits_mlp": digits_mlp,
    "mnist_mlp": mnist_mlp,
    "mnist_cnn": mnist_cnn,
    "recurrent": recurrent,
    "residual": residual,
    "sigma_delta": sigma_delta,
    "delays": delays,
}


def build(name: str, /, *, seed: int = 0, **sizes: Any) -> nir.NIRGraph:
    """Return a network with random weights.

    Args:
        name: one of `NETWORKS`.
        seed: of the weights: one seed, one network.
        sizes: what the builder takes beside the seed, such as `hidden=64`.

    Raises:
        GraphError: there is no such network, or it has no such size.
        MemoryLimit: so many weights do not fit.

    >>> sorted(build("digits_mlp", seed=7, hidden=20).nodes)
    ['hidden1', 'hidden1_weights', 'input', 'output', 'output_weights', 'readout']
    """
    if name not in NETWORKS:
        raise GraphError(
            f"there is no network {name!r}",
            f"networks here are {', '.join(NETWORKS)}",
            f"take {nearest(name, NETWORKS)}",
        )
    known = [each for each in signature(NETWORKS[name]).parameters if each != "seed"]
    check_options(f"the network {name!r}", NETWORKS[name], sizes, known, GraphError, least=1)
    return NETWORKS[name](seed=seed, **sizes)


def shipped(name: str) -> Path:
    """Return the file of a trained network that comes with the package; docs/models.md lists them.

    Raises:
        GraphError: there is no such network.
    """
    found = {path.stem: path for path in (Path(__file__).parent / "shipped").glob("*.nir")}
    if name not in found:
        raise GraphError(
            f"no trained network {name!r} comes with the package",
            f"there are {', '.join(sorted(found))}",
            f"take {nearest(name, found)}" if found else "train it: spikeport train --list",
        )
    return found[name]
