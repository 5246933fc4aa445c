"""What quantization keeps of the real cases, beside the targets; every row is a command.

    python -m hw_tests.bench.bench_quantize [--only NAME] [--json]

Data of the cases are unpacked into out/bench. Networks are calibrated on data of their own where
there are any: Braille on random spikes of other seeds (three, so that the spread is seen), MNIST on
other images, digits on the first quarter of the samples (and measured on all). The convolutional
network has one recording, so it is calibrated on what it is measured on, and the row says so.
Then the time in which a network of ten million synapses becomes integers.
"""

from __future__ import annotations

import argparse
import json
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse

import spikeport as sp
from spikeport.calibration import calibrate, seen_on
from spikeport.compiler.measure.decode import accuracy
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.compiler.quantize.quantize import quantize
from spikeport.compiler.quantize.recipe import Recipe
from spikeport.compiler.semantics import Semantics
from spikeport.data import read_data
from spikeport.models.neurons.lif import Lif

ROOT = Path(__file__).resolve().parents[2]
CASES = ROOT.parent / "shared" / "cases"
OUT = ROOT / "out" / "bench" / "quantize"
SEEDS = (5, 6, 7)


@dataclass(frozen=True)
class Target:
    """What a row is to reach.

    Attributes:
        points: of accuracy that may be lost.
        cells: that have to agree, %, per population, or one for all.
        same: samples that have to be in the same class.
        times: how many times the synapses of the network may be taken.
    """

    points: float | None = None
    cells: tuple[float, ...] = ()
    same: int = 0
    times: float = 0.0

    def __str__(self) -> str:
        words = [f"loss <= {self.points} points"] if self.points is not None else []
        words += [f">= {' / '.join(map(str, self.cells))}"] if self.cells else []
        words += [f"{self.same} the same"] if self.same else []
        words += [f"<= {self.times:g} x the synapses"] if self.times else []
        return ", ".join(words)

    def met(self, plain: dict[str, Any], synapses: int) -> str:
        """Return `met`, `missed`, or nothing where nothing was asked for."""
        found = plain["measured"]
        agree = [100 * each["agreement"] for each in plain["populations"]]
        wanted = self.cells * (len(agree) if len(self.cells) == 1 else 1)
        lost = 0.0 if found["accuracy"] is None else found["reference_accuracy"] - found["accuracy"]
        checks = [
            self.points is None or 100 * lost <= self.points + 1e-9,
            all(got >= least for got, least in zip(agree, wanted, strict=False)),
            found["same_class"] >= self.same,
            not self.times or found["synapses"] <= self.times * synapses,
        ]
        return "" if self == Target() else "met" if all(checks) else "missed"


@dataclass(frozen=True)
class Row:
    """A measurement.

    Attributes:
        name: of the row.
        case: folder of the graph.
        data: file of the samples that are measured.
        options: of `spikeport quantize`.
        target: see `Target`.
        calibration: file of other samples, or "".
    """

    name: str
    case: str
    data: str
    options: str
    target: Target
    calibration: str = ""

    @property
    def command(self) -> list[str]:
        """The command that measures it, as it is typed in the repository."""
        where = Path("..") / "shared" / "cases" / self.case / "graph.nir"
        folder = OUT.relative_to(ROOT)
        other = ["--calibration", str(folder / self.calibration)] if self.calibration else []
        return [
            "spikeport", "quantize", str(where), "--data", str(folder / self.data), *other,
            *shlex.split(self.options),
        ]  # fmt: skip


DIGITS = "trained_snntorch_digits_lif"
BRAILLE = "nirpaper_braille_zero"
CNN = "nirpaper_cnn_sinabs"
ON_LOIHI = "--chip loihi1 --dialect snntorch"
OUTPUT = "--rounding output"
BEST = "--ranges raster --rounding output --correct"


ONE = Target(cells=(99.5, 88.0), same=18, times=1.0)
TWO = Target(cells=(99.9, 98.5), same=19, times=2.0)


def rows() -> Iterator[Row]:
    """Yield what is measured."""
    for bits, options, target in (
        ("8 bits, one scale", "--scales population", Target()),
        ("8 bits", "", Target(0.2)),
        ("8 bits, rounding for the output", OUTPUT, Target(0.2)),
        ("4 bits, rounding for the output", f"--weights 4 {OUTPUT}", Target(1.5)),
    ):
        yield Row(
            f"digits, {bits}", DIGITS, "digits.npz", f"{ON_LOIHI} {options}", target,
            "digits_first.npz",
        )  # fmt: skip
    for kind, chip, dialect in (
        ("multi", "generic_graded", "sinabs"), ("singlezero", "loihi1", "nir")
    ):  # fmt: skip
        for label, options in (("8 bits", ""), ("rounding for the output", OUTPUT)):
            yield Row(
                f"mnist {kind}, {label}", f"trained_sinabs_mnist_{kind}", f"mnist_{kind}.npz",
                f"--chip {chip} --dialect {dialect} --dt 1 --chips 4 {options}",
                Target(0.5), "mnist_other.npz",
            )  # fmt: skip
    for label, options, target in (
        ("8 bits, one scale", "--scales population", Target()),
        ("8 bits", "", Target()),
        ("rounding for the output", OUTPUT, Target()),
        ("lists by size", f"--weights 8:size {OUTPUT}", ONE),
        ("by sign and size", f"--weights 8:sign-size {OUTPUT}", ONE),
        ("split for a quarter", f"--weights 8+8@0.25:sign {OUTPUT}", Target()),
        ("split for a half", f"--weights 8+8@0.5:sign {OUTPUT}", Target()),
        ("split", f"--weights 8+8:sign {OUTPUT}", TWO),
        ("split, by raster", f"--weights 8+8 {BEST}", TWO),
        ("split by sign, by raster", f"--weights 8+8:sign {BEST}", TWO),
    ):
        for seed in SEEDS:
            yield Row(
                f"braille, {label}, seed {seed}", BRAILLE, "braille.npz", f"{ON_LOIHI} {options}",
                target, f"braille_{seed}.npz",
            )  # fmt: skip
        yield Row(
            f"braille, {label}, on itself", BRAILLE, "braille.npz", f"{ON_LOIHI} {options}", target
        )
    for least, target in ((0.88, ONE), (0.985, TWO)):
        yield Row(
            f"braille, searched for {100 * least:g} %, on itself", BRAILLE, "braille.npz",
            f"{ON_LOIHI} --target-agreement {least}", target,
        )  # fmt: skip
    for label, options in (
        ("8 bits, one scale", "--scales population"),
        ("8 bits", ""),
        ("rounding for the output", OUTPUT),
        ("by sign and size", f"--weights 8:sign-size {OUTPUT}"),
        ("by sign and size, by raster", f"--weights 8:sign-size {BEST}"),
        ("split, by raster", f"--weights 8+8:sign {BEST}"),
    ):
        yield Row(
            f"cnn, {label}, on itself", CNN, "cnn.npz",
            f"--chip loihi1 --dialect nir --dt 1 --chips 2 {options}",
            Target(cells=(99.5,), times=1.0 if "split" not in label else 2.0),
        )  # fmt: skip


def write_data() -> None:
    """Unpack the data of the cases."""
    OUT.mkdir(parents=True, exist_ok=True)
    x, labels = _evaluated(DIGITS)
    np.savez(OUT / "digits.npz", x=x, labels=labels)
    np.savez(OUT / "digits_first.npz", x=x[: len(x) // 4], labels=labels[: len(x) // 4])
    for kind in ("multi", "singlezero"):
        x, labels = _evaluated(f"trained_sinabs_mnist_{kind}")
        np.savez(OUT / f"mnist_{kind}.npz", x=x, labels=labels)
    images = np.load(CASES / "data_mnist_t10k" / "mnist_t10k.npz")
    name = next(key for key in images if images[key].ndim == 3)
    grey = images[name][200:232, None, None].astype(float) / 255.0
    x = np.random.default_rng(3).random((32, 60, 1, 28, 28)) < grey
    np.savez(OUT / "mnist_other.npz", x=x.astype(np.uint8))
    x = np.load(CASES / BRAILLE / "input.npz")["x"]
    np.savez(OUT / "braille.npz", x=x)
    for seed in SEEDS:
        like = np.random.default_rng(seed).random((64, *x.shape[1:])) < 0.06
        np.savez(OUT / f"braille_{seed}.npz", x=like.astype(np.uint8))
    np.savez(OUT / "cnn.npz", x=np.load(CASES / CNN / "input.npz")["x"][None])


def _evaluated(case: str) -> tuple[Any, Any]:
    held = np.load(CASES / case / "eval.npz")
    shape = held["shape"]
    bits = np.unpackbits(held["packed"])[: int(np.prod(shape))]
    return bits.reshape(shape), held["labels"]


def measured(row: Row) -> dict[str, Any]:
    """Run a row's command and return what it prints, with the time it took."""
    began = time.perf_counter()
    done = subprocess.run(
        [str(Path(sys.executable).parent / row.command[0]), *row.command[1:], "--json"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode not in (0, 1):
        return {"error": done.stderr.strip().splitlines()[:1], "seconds": 0.0}
    plain: dict[str, Any] = json.loads(done.stdout)
    return plain | {"seconds": time.perf_counter() - began}


def line(row: Row, plain: dict[str, Any]) -> str:
    """Return a row of the table."""
    if "error" in plain:
        return f"| {row.name} | {plain['error']} | | | | {row.target} | |"
    found = plain["measured"]
    cells = " / ".join(f"{100 * each['agreement']:.2f}" for each in plain["populations"])
    same = f"{found['same_class']} of {found['samples']}"
    lost = ""
    if found["accuracy"] is not None:
        lost = f"{100 * (found['reference_accuracy'] - found['accuracy']):.2f}"
    price = f"{found['synapses']} synapses, {plain['price']['times']:.2f} x the bits"
    if "--target-agreement" in row.options:
        price += f": `{found['options']}`"
    verdict = row.target.met(plain, weights_of(row))
    return f"| {row.name} | {cells} | {same} | {lost} | {price} | {row.target} | {verdict} |"


def weights_of(row: Row) -> int:
    """Return how many weights of a network are not 0: its synapses without rounding."""
    options = shlex.split(row.options)
    dialect, dt = (
        options[options.index(name) + 1] if name in options else None
        for name in ("--dialect", "--dt")
    )
    net = sp.load(CASES / row.case / "graph.nir", dialect, None if dt is None else float(dt))
    chip = sp.chip(options[options.index("--chip") + 1])
    return sum(np.count_nonzero(each.matrix.data if hasattr(each.matrix, "indptr") else each.matrix)
               for each in for_chip(to_clocked(net), chip).projections)  # fmt: skip


def large() -> Iterator[str]:
    """Yield how long it takes to quantize ten million synapses, by recipe."""
    rng, size = np.random.default_rng(0), 2240
    nodes: dict[str, Any] = {"in": Input((size,))}
    for k in (1, 2):
        weights = (rng.normal(0, 0.05, (size, size))).astype(np.float32)
        one = np.ones(size)
        nodes |= {f"w{k}": Linear(weights), f"n{k}": Lif(
            1e-2 * one, 10 * one, 0 * one, one, 0 * one)}  # fmt: skip
    nodes["out"] = Output((size,))
    names = list(nodes)
    net = Network(nodes, tuple(pairwise(names)), Semantics(dt=1e-3, dialect="nir"))
    chip, clocked = sp.chip("loihi1"), to_clocked(net)
    data = read_data((rng.random((16, 30, size)) < 0.05).astype(np.uint8), net)
    retimed, peaks = for_chip(clocked, chip), calibrate(clocked, data)
    seen = seen_on(retimed, data)
    for words, recipe in (
        ("8 bits", Recipe()),
        ("rounding for the output", Recipe(rounding="output")),
    ):
        began = time.perf_counter()
        program = quantize(retimed, chip, peaks, {}, recipe, seen)
        count = sum(each.count for each in program.synapses)
        yield f"{count} synapses, {words}: {time.perf_counter() - began:.1f} s"


def unsteady() -> Iterator[str]:
    """Yield what the float reference itself loses on MNIST where its weights are slightly off."""
    case = "trained_sinabs_mnist_multi"
    clocked = to_clocked(sp.load(CASES / case / "graph.nir", "sinabs", 1.0))
    x, labels = _evaluated(case)
    for off in (0.0, 1e-5, 1e-3):
        rng = np.random.default_rng(0)
        projections = tuple(
            replace(each, matrix=_off(each.matrix, off, rng), conv=None)
            for each in clocked.projections
        )
        run = sp.run(replace(clocked, projections=projections), x)
        found = accuracy(run, labels, "count")
        yield f"mnist multi, float weights off by {off:g} of themselves: accuracy {found:.1%}"


def _off(matrix: Any, off: float, rng: np.random.Generator) -> Any:
    """Return weights times 1 plus noise."""
    if not sparse.issparse(matrix):
        return matrix * (1 + off * rng.normal(size=matrix.shape))
    noisy = matrix.copy()
    noisy.data = matrix.data * (1 + off * rng.normal(size=matrix.data.size))
    return noisy


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--only", default="", help="rows whose names begin so")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    if not CASES.exists():
        sys.exit(f"there are no cases at {CASES.relative_to(ROOT.parent)}: nothing is measured")
    write_data()
    wanted = [row for row in rows() if row.name.startswith(given.only)]
    results: dict[str, Any] = {}
    if not given.json:
        print("| case | cells that agree, per population, % | same class | points lost | price "
              "| target | |\n|---|---|---|---|---|---|---|")  # fmt: skip
    for row in wanted:
        results[row.name] = plain = measured(row)
        if not given.json:
            print(line(row, plain), flush=True)
    if given.json:
        print(json.dumps(results))
        return
    if "mnist multi".startswith(given.only[:11]):
        print("\n".join(["", *unsteady()]))
    if "large".startswith(given.only[:5]):
        print("\n".join(["", *large()]))
    print("\nCommands:\n")
    for row in wanted:
        print(f"{row.name}:\n  {shlex.join(row.command)}")


if __name__ == "__main__":
    main()
