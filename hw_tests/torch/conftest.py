"""Tests against the tools themselves. They need PyTorch: `make torch-test` makes a place for it."""

from __future__ import annotations

import importlib.util
import os
import warnings
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

import spikeport as sp

TOOLS = ("torch", "snntorch", "norse", "sinabs", "spikingjelly")
here = [name for name in TOOLS if importlib.util.find_spec(name) is not None]
with warnings.catch_warnings():  # the tools' own: PyTorch calls torch.jit.script old
    warnings.simplefilter("ignore")
    for name in here:
        __import__(name)
if "torch" in os.environ.get("SPIKEPORT_REQUIRE", "") and len(here) < len(TOOLS):
    missing = ", ".join(sorted({*TOOLS} - {*here}))
    raise pytest.UsageError(f"SPIKEPORT_REQUIRE asks for torch, but there is no {missing}")


@pytest.fixture
def record():
    """See what each layer hands out in each of its calls, by PyTorch's own hooks."""

    def watch(net: Any, layers: Iterable[str], run: Callable[[], Any]) -> dict[str, list[Any]]:
        told: dict[str, list[Any]] = {name: [] for name in layers}

        def note(name: str) -> Callable[..., None]:
            def hook(module: Any, given: Any, answer: Any) -> None:
                spikes = answer[0] if isinstance(answer, tuple) else answer
                told[name].append(spikes.detach().cpu().double().numpy())

            return hook

        handles = [
            module.register_forward_hook(note(name))
            for name, module in net.named_modules()
            if name in told
        ]
        run()
        for handle in handles:
            handle.remove()
        return told

    return watch


@pytest.fixture
def equals(tmp_path):
    """Check that a Network, and the file written of it, does what a tool was seen to do."""

    def check(network, x, told, kind="spikes", least=20):
        """`x` and `told` are (samples, steps, ...); `least` spikes must be in every layer."""
        path = tmp_path / f"net{len(list(tmp_path.iterdir()))}.nir"
        sp.write(network, path)
        for net in (network, sp.load(path)):
            ours = sp.run(net, x, kind=kind)
            for name, raster in told.items():
                raster = raster.reshape(*raster.shape[:2], -1)
                assert raster.sum() >= least, f"{name} is nearly silent: a test of nothing"
                got = ours.spikes[name].dense().reshape(raster.shape)
                assert int((got != raster).sum()) == 0, name

    return check


@pytest.fixture
def spikes():
    """Random spikes, 0 or 1, float64; another seed than any network has."""

    def make(*shape, share=0.4, seed=1234):
        return (np.random.default_rng(seed).random(shape) < share).astype(np.float64)

    return make
