"""An epoch of training, ours beside snnTorch's: the same networks, weights, spikes, loss and Adam.

    python -m hw_tests.bench.bench_train [--epochs N] [--threads 1 2] [--only digits]

`make bench-peers` installs snnTorch. Both sides run in processes of their own on the same cores and
take their epochs by turns, so that whatever else the machine does falls on both. Batches are uint8
spikes in memory; turning them into floats is in the times, encoding is not. `products` are the two
products with the largest weights in an epoch, forward and backward, alone: less than them no
dense training takes. Ratios are theirs over ours.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from hw_tests.bench.jobs import BENCH, ROOT, interpreter

DATA = ROOT / "out" / "bench"
#: Network and data set: the file of the work is named by both.
WORKS = {"digits-mlp": "digits_mlp-digits", "mnist-mlp": "mnist_mlp-mnist5k"}
SEED = 0
ALIKE_FIRST, ALIKE_EPOCH = 1e-4, 0.02  # of the loss: one batch; an epoch, in which spikes may flip

Row = dict[str, Any]


class Side:
    """A process that trains when it is asked to."""

    def __init__(self, arguments: Sequence[str], threads: int) -> None:
        own = {key: text for key, text in os.environ.items() if key != "PYTHONPATH"}
        for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
            own[name] = str(threads)
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=own
        )
        self.said = self._answer()

    def ask(self, what: str) -> Row:
        """Return the answer to `epoch` or `products`."""
        print(what, file=self.process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> Row:
        for line in self.process.stdout or ():
            if line.startswith("RESULT "):
                found: Row = json.loads(line[7:])
                return found
        raise SystemExit(f"{self.process.args} ended with code {self.process.wait()}")

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()


def write_work(name: str, path: Path) -> None:
    """Write what both sides start from: our network's weights, and its data set as spikes."""
    from spikeport.models.data.encode import encode
    from spikeport.models.data.library import open_data
    from spikeport.models.networks.library import build

    network, data = WORKS[name].split("-")
    splits = open_data(data).splits
    used = [splits["train"]] if data == "digits" else list(splits.values())
    every = [(np.arange(len(split)), split) for split in used]
    values = np.concatenate([split.read(at) for at, split in every])
    labels = np.concatenate([split.labels for _, split in every])
    rng = np.random.default_rng(SEED)
    order = rng.permutation(len(labels))
    spikes = encode("bernoulli", values[order].reshape(len(labels), -1), 25, rng).swapaxes(0, 1)
    nodes = build(network, seed=SEED).nodes
    layers = [nodes["hidden1_weights"], nodes["output_weights"]]
    held = {f"weight{at}": layer.weight for at, layer in enumerate(layers)}
    held |= {f"bias{at}": layer.bias for at, layer in enumerate(layers)}
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, spikes=np.packbits(spikes), shape=spikes.shape, labels=labels[order], **held)


def measure(name: str, threads: int, epochs: int, theirs: Path) -> list[Row]:
    """Return the rows of ours and theirs, of epochs by turns."""
    path = DATA / f"{WORKS[name]}.npz"
    write_work(name, path)
    asked = [str(path), str(threads)]
    commands = {
        "spikeport": [sys.executable, "-m", "hw_tests.bench.ours_train", *asked],
        "snntorch": [str(theirs), str(BENCH / "peers" / "run_snntorch.py"), *asked],
    }
    with (
        Side(commands["spikeport"], threads) as ours,
        Side(commands["snntorch"], threads) as other,
    ):
        sides = {"spikeport": ours, "snntorch": other}
        taken = [{key: side.ask("epoch") for key, side in sides.items()} for _ in range(1 + epochs)]
        products = {key: side.ask("products")["wall_s"] for key, side in sides.items()}
    check_alike(name, taken[0]["spikeport"], taken[0]["snntorch"])
    batches = len(np.load(path)["labels"]) // 64
    rows = []
    for key, side in sides.items():
        warm = [each[key] for each in taken[1:]]
        walls = [each["wall_s"] for each in warm]
        rows.append(
            {
                "work": name, "threads": threads, "side": key, **side.said,
                "wall_s": min(walls), "median_s": median(walls),
                "cpu_s": min(each["cpu_s"] for each in warm),
                "products_s": products[key] * batches,
                "peak_bytes": warm[-1]["peak_bytes"],
                "first_loss": taken[0][key]["first_loss"], "loss": taken[0][key]["loss"],
                "last_loss": warm[-1]["loss"],
                "paired": median(t["snntorch"]["wall_s"] / t["spikeport"]["wall_s"]
                                 for t in taken[1:]),
            }
        )  # fmt: skip
    return rows


def check_alike(name: str, ours: Row, theirs: Row) -> None:
    """Check that both sides train the same network on the same samples."""
    for what, most in {"first_loss": ALIKE_FIRST, "loss": ALIKE_EPOCH}.items():
        if abs(ours[what] - theirs[what]) > most:
            raise SystemExit(f"{name}: {what} is {ours[what]} here and {theirs[what]} there")


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table."""
    lines = [
        "| network | threads | | epoch, fastest (median) | CPU | products alone | "
        "loss, first batch | first epoch | last epoch | compile | temporaries of a step | "
        "peak memory |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        compiling = f"{row['compile_s']:.1f} s" if "compile_s" in row else "-"
        kept = f"{row['temporaries'] / 1e6:.1f} MB" if "temporaries" in row else "-"
        lines.append(
            f"| {row['work']} | {row['threads']} | {row['side']} ({row['version']}) "
            f"| {row['wall_s']:.3f} s ({row['median_s']:.3f}) | {row['cpu_s']:.3f} s "
            f"| {row['products_s']:.3f} s | {row['first_loss']:.5f} | {row['loss']:.4f} "
            f"| {row['last_loss']:.4f} | {compiling} | {kept} | {row['peak_bytes'] / 1e6:.0f} MB |"
        )
    for ours, theirs in zip(rows[::2], rows[1::2], strict=True):
        wall, cpu = (theirs[key] / ours[key] for key in ("wall_s", "cpu_s"))
        bound = theirs["wall_s"] / ours["products_s"]
        lines.append(
            f"\n{ours['work']}, {ours['threads']} threads: {wall:.1f} x faster by the fastest "
            f"epochs, {ours['paired']:.1f} x by the median of pairs, {cpu:.1f} x by CPU time; "
            f"{bound:.1f} x if nothing but the products took time."
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--epochs", type=int, default=7, help="of each, after the first")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", default="", help="a network, by its first letters")
    given = parser.parse_args()
    theirs = interpreter("snntorch")
    if theirs is None:
        raise SystemExit("snnTorch is not installed here: make bench-peers")
    rows: list[Row] = []
    before = os.getloadavg()[0]
    for name in (each for each in WORKS if each.startswith(given.only)):
        for threads in given.threads:
            rows += measure(name, threads, given.epochs, theirs)
    print(table(rows))
    after = os.getloadavg()[0]
    print(f"\nload of the machine before: {before:.1f}, after: {after:.1f}")


if __name__ == "__main__":
    main()
