"""Train a small network on handwritten digits, and see what Loihi 1's integers keep of it.

Needs the extra `train`:  python examples/train_a_network.py
"""

from __future__ import annotations

import tempfile

import numpy as np

import spikeport as sp
from spikeport.models.data.batches import batches
from spikeport.models.data.library import open_data

RECIPE = {
    "network": {"name": "digits_mlp", "options": {"hidden": 32}},
    "data": "digits",
    "encoder": "bernoulli",
    "steps": 5,
    "epochs": 4,
    "optimiser": {"name": "adamw", "rate": 1e-2, "schedule": "cosine"},
    "loss": {"name": "rate", "smoothing": 0.1},
    "surrogate": {"name": "fast_sigmoid", "slope": 5},
}


def main() -> None:
    with tempfile.TemporaryDirectory() as out:
        done = sp.train(RECIPE, out)  # also writes net.nir, card.md and log.jsonl there
    print(f"float test accuracy {done.card['accuracy']['test']:.1%}")

    test = open_data("digits").split("test")
    x, labels = next(batches(test, len(test), encoder="bernoulli", steps=5, shuffle=False))
    traces = sp.run(sp.compile(done.network, "loihi1", calibration=x.reshape(-1, 5, 64)), x)
    classes = traces.window("output").sum(1).argmax(1)
    print(f"loihi1 test accuracy {np.mean(classes == labels):.1%}")


if __name__ == "__main__":
    main()
