"""Train every network of the library and print what is left of it on a chip, seed by seed.

    python -m hw_tests.bench.models_table [--only NAME ...] [--seeds 3] [--mnist FOLDER] [--write]

Each network is trained in floats by its recipe (`spikeport train NAME`); the same weights are
quantized for the chip as `spikeport deploy` does it (calibrated on 256 samples of the training
split); then they are trained on in the chip's integers (`spikeport train NAME-CHIP`). All three are
run on the same encoded test samples, the last two on the emulator. The trainings lie in out/models;
those that are complete are not repeated, those that were cut off go on. With `--write`, docs gets
the table and the package the networks of seed 0 that are small.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import spikeport as sp
from spikeport.cli.train_file import shipped
from spikeport.compiler.image import Image
from spikeport.compiler.measure.decode import OF_SPIKES, OF_V, needs_v
from spikeport.compiler.network import Network
from spikeport.models.training.prepare import Prepared, prepare
from spikeport.models.training.read_recipe import checked_recipe

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "out" / "models"
SHIPPED = ROOT / "models" / "networks" / "shipped"
DOCS = ROOT / "docs"
LARGEST = 150_000  # bytes of a network that comes with the package
BATCH = 500  # samples that are run at once
MARK = "<!-- the table of make models -->"


@dataclass(frozen=True)
class Row:
    """A network on a chip.

    Attributes:
        name: of its recipe.
        chip: the emulator's.
        aware: recipe of the training in integers; "" where there is none.
        least: accuracy in floats that it is to reach, %.
        after, within: points that quantizing after, or training in integers, may lose.
    """

    name: str
    chip: str = "loihi1"
    aware: str = ""
    least: float | None = None
    after: float | None = None
    within: float | None = None


ROWS = (
    Row("digits-mlp", aware="digits-mlp-loihi1", least=97.5, after=0.3, within=100 / 540),
    Row("mnist-mlp", aware="mnist-mlp-loihi1", least=94.5, after=0.3, within=0.1),
    Row("mnist-cnn", aware="mnist-cnn-loihi1", least=97.0, after=0.4, within=0.2),
    Row("mnist-cnn", aware="mnist-cnn-loihi1-4bit", after=2.0, within=0.5),
    Row("recurrent", aware="recurrent-loihi1", least=95.0, after=2.0, within=0.5),
    Row("residual"),
    Row("delays"),
    Row("sigma-delta", chip="generic_graded"),
)


@dataclass(frozen=True)
class Found:
    """Accuracies of one seed, %; `aware` None where nothing was trained in integers."""

    name: str
    recipe: str
    chip: str
    seed: int
    samples: int
    floats: float
    after: float
    aware: float | None
    data: str


def settings_of(seed: int, mnist: Path | None, plain: Any) -> list[str]:
    """Return what differs from a shipped recipe."""
    data = plain["data"]["name"] if isinstance(plain["data"], dict) else plain["data"]
    folder = [f"data.folder={mnist.resolve()}"] if data == "mnist5k" and mnist else []
    return [f"seed={seed}", *folder]


def trained(recipe: str, folder: Path, settings: list[str]) -> Path:
    """Return the network of a training, which is begun, gone on with, or done already."""
    if not (folder / "card.json").exists():
        began = (folder / "checkpoint.npz").exists()
        print(f"  training {folder.relative_to(ROOT)}", flush=True)
        sp.train(shipped()[recipe], folder, settings=settings, resume=began, force=not began)
    return folder / "net.nir"


def measured(row: Row, seed: int, mnist: Path | None) -> Found:
    """Train and run one network with one seed."""
    plain = sp_recipe(row.name)
    settings = settings_of(seed, mnist, plain)
    where = OUT / ("" if mnist else "no-mnist-test")
    first = trained(row.name, where / f"{row.name}-{seed}", settings)
    given = prepare(recipe_with(row.name, settings), shipped()[row.name].parent)
    net = sp.load(first)
    bits = sp_recipe(row.aware).get("quantize", {}).get("weights") if row.aware else None
    image = compiled(net, given, row.chip, bits)
    samples, floats = accuracy(given, net)
    _, after = accuracy(given, image)
    within = None
    if row.aware:
        more = [f"network={first}", "quantize.from_epoch=0"]
        if row.aware == "mnist-mlp-loihi1":  # its recipe begins in floats
            more += ["epochs=5", "optimiser.rate=2e-4"]
        last = trained(row.aware, where / f"{row.aware}-{seed}", [*settings, *more])
        _, within = accuracy(given, compiled(sp.load(last), given, row.chip, None))
    return Found(
        row.name, row.aware, row.chip, seed, samples, floats, after, within, given.data.source
    )


def sp_recipe(name: str) -> dict[str, Any]:
    """Return the plain values of a shipped recipe."""
    from spikeport.models.training.read_recipe import recipe_in

    return dict(recipe_in(shipped()[name]))


def recipe_with(name: str, settings: list[str]) -> Any:
    """Return a shipped recipe with settings."""
    from spikeport.models.training.change_recipe import changed

    return checked_recipe(changed(sp_recipe(name), settings, Path.cwd()))


def compiled(net: Network, given: Prepared, chip: str, bits: str | None) -> Image:
    """Return a network on a chip, calibrated on samples of the training split."""
    from spikeport.recipe_words import recipe_of

    samples = given.calibration()
    shape = net.nodes[given.input].shape
    x = samples.reshape(*samples.shape[:2], *shape)
    return sp.compile(net, chip, calibration=x, recipe=recipe_of([bits] if bits else None))


def accuracy(given: Prepared, runnable: Network | Image) -> tuple[int, float]:
    """Return how many test samples there are, and how many of them are decoded right, %."""
    decode = given.recipe.decode
    shape = given.trainable.net.nodes[given.input].shape
    right = total = 0
    for x, labels in given.testing():
        whole = x.reshape(*x.shape[:2], *shape)
        probe = (f"{given.output}.v",) if needs_v(decode) else ()
        traces = sp.run(runnable, whole, probe=probe)
        if needs_v(decode):
            scores = OF_V[decode](traces.probe_window(f"{given.output}.v"))
        else:
            scores = OF_SPIKES[decode](traces.window(given.output))
        right += int((scores.argmax(1) == labels).sum())
        total += labels.size
    return total, 100.0 * right / total


def spread(values: list[float]) -> str:
    """Return `mean ± half of the range`."""
    return f"{statistics.mean(values):.2f} ± {(max(values) - min(values)) / 2:.2f}"


def verdict(value: float, limit: float | None, at_least: bool) -> str:
    """Return what a target says of a value, nothing where there is none."""
    if limit is None:
        return ""
    met = value >= limit - 1e-9 if at_least else value <= limit + 1e-9
    sign = "at least" if at_least else "at most"
    return f" ({sign} {limit:.2f}: {'met' if met else '**missed**'})"


def lines(found: list[Found]) -> Iterator[str]:
    """Yield the table in Markdown."""
    yield "| network | chip | float, % | lost after training | lost when trained in integers |"
    yield "|---|---|---|---|---|"
    for row in ROWS:
        own = [f for f in found if (f.name, f.recipe) == (row.name, row.aware)]
        if not own:
            continue
        floats = [f.floats for f in own]
        after = [f.floats - f.after for f in own]
        within = [f.floats - f.aware for f in own if f.aware is not None]
        last = "-"
        if within:
            each = max(within) if row.name == "digits-mlp" else statistics.mean(within)
            last = spread(within) + verdict(each, row.within, False)
        bits = ", 4-bit weights" if row.aware.endswith("4bit") else ""
        yield (
            f"| {row.name} | {row.chip}{bits} | "
            f"{spread(floats)}{verdict(statistics.mean(floats), row.least, True)} | "
            f"{spread(after)}{verdict(statistics.mean(after), row.after, False)} | {last} |"
        )


def write(found: list[Found], mnist: Path | None) -> None:
    """Put the table into docs/models.md, the figures beside it, small networks into the package."""
    page = DOCS / "models.md"
    before, _, rest = page.read_text().partition(MARK)
    _, _, behind = rest.partition(MARK)
    table = "\n".join(lines(found))
    page.write_text(f"{before}{MARK}\n{table}\n{MARK}{behind}")
    rows = [asdict(each) for each in found]
    (DOCS / "models.json").write_text(json.dumps(rows, indent=1) + "\n")
    where = OUT / ("" if mnist else "no-mnist-test")
    SHIPPED.mkdir(exist_ok=True)
    for name in sorted({n for f in found for n in (f.name, f.recipe) if n}):
        net = where / f"{name}-0" / "net.nir"
        if net.stat().st_size <= LARGEST:
            shutil.copy(net, SHIPPED / f"{name}.nir")
            card = net.with_name("card.md").read_text().replace(f"{ROOT}/", "")
            card = card.replace(str(mnist.resolve()), "FOLDER") if mnist else card
            (SHIPPED / f"{name}.md").write_text(card)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", nargs="*", default=[], help="names of networks")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--mnist", type=Path, help="folder of MNIST's 10 000 test digits")
    parser.add_argument("--write", action="store_true", help="into docs and the package")
    options = parser.parse_args()
    mnist = options.mnist if options.mnist and options.mnist.exists() else None
    if mnist is None:
        print("no folder of MNIST's test digits (--mnist): its networks are tested on 1 000 digits "
              "that were held back, see docs/data.md")  # fmt: skip
    found: list[Found] = []
    for row in ROWS:
        if options.only and row.name not in options.only:
            continue
        for seed in range(options.seeds):
            found.append(measured(row, seed, mnist))
            print("  " + json.dumps(asdict(found[-1])), flush=True)
    print("\n".join(lines(found)))
    if options.write:
        write(found, mnist)


if __name__ == "__main__":
    main()
