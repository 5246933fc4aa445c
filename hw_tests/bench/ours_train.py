"""Our trainer on the work of `bench_train.py`: its compiled step, as `spikeport train` takes it.

python -m hw_tests.bench.ours_train FILE THREADS
"""

from __future__ import annotations

import sys
from pathlib import Path

from hw_tests.bench.peers.epochs import BATCH, RATE, SCALE, SLOPE, STEPS, arguments, serve

work, threads = arguments()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

from spikeport.compiler.kinds import Array  # noqa: E402
from spikeport.models.training.prepare import Prepared, prepare  # noqa: E402
from spikeport.models.training.read_recipe import checked_recipe  # noqa: E402
from spikeport.models.training.step import compiled  # noqa: E402


def prepared(network: str, data: str) -> Prepared:
    """Return the training that both sides do."""
    recipe = {
        "network": network,
        "data": data,
        "encoder": "bernoulli",
        "steps": STEPS,
        "epochs": 1,
        "batch": BATCH,
        "optimiser": {"name": "adam", "rate": RATE},
        "loss": {"name": "rate", "scale": SCALE},
        "surrogate": {"name": "fast_sigmoid", "slope": SLOPE},
    }
    return prepare(checked_recipe(recipe, "bench_train"), Path())


def main() -> None:
    """Compile, and answer."""
    network, data = Path(sys.argv[1]).stem.split("-")
    given = prepared(network, data)
    spikes = np.ascontiguousarray(work.spikes.swapaxes(0, 1))  # as our encoders yield them
    labels = work.labels.astype(np.int32)
    made = compiled(given, given.trainable, STEPS, spikes)
    held = {"now": made.start}

    def epoch() -> list[float]:
        moved, state = held["now"]
        losses = []
        for at in work.batches():
            moved, state, told = made.step(moved, state, spikes[at], labels[at])
            losses.append(told.loss)
        held["now"] = moved, state
        return [float(each) for each in losses]

    some = jnp.asarray(work.spikes[:, :BATCH], jnp.float32).reshape(STEPS * BATCH, -1)
    largest = jnp.asarray(work.weights[0])
    slopes = jnp.ones((len(some), len(largest)), jnp.float32)
    both = jax.jit(lambda x, w, g: (x @ w.T, g.T @ x))

    def products() -> Array:
        found: Array = jax.block_until_ready(both(some, largest, slopes))
        return found

    serve(
        epoch, products, version=f"JAX {jax.__version__}", compile_s=made.seconds,
        temporaries=made.bytes,
    )  # fmt: skip


if __name__ == "__main__":
    main()
