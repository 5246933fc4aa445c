"""Random graphs, many: load, retime, and equal the un-retimed integers; write and read back.

    python -m hw_tests.fuzz_graphs --graphs 2000

prints how many graphs had what in them, and what went wrong, with the seed that repeats it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import chain
from pathlib import Path

import nir
import numpy as np

import spikeport as sp
from hw_tests.generate.graphs import PRIMITIVES, Drawn, random_graph
from hw_tests.unretimed import run_both
from spikeport.backends import find_chip
from spikeport.calibration import calibrate
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import SpikeportError
from spikeport.compiler.load.nir import read_network, write_network
from spikeport.compiler.network import Network
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.text import text
from spikeport.data import Data

CHIPS = ("loihi1", "generic_graded")


@dataclass
class Tried:
    """What came of one graph.

    Attributes:
        seed, chip: repeat it with `try_graph(seed, folder)`.
        features: what it held.
        trouble: sentences; [] where everything agreed.
    """

    seed: int
    chip: str
    features: Counter[str]
    trouble: list[str] = field(default_factory=list)


def try_graph(seed: int, folder: Path) -> Tried:
    """Draw the graph of a seed and try it; even seeds for loihi1, odd ones for everything."""
    rng = np.random.default_rng(seed)
    drawn = random_graph(rng, CHIPS[seed % 2])
    tried = Tried(seed, drawn.chip, drawn.features.copy())
    path = folder / "graph.nir"
    nir.write(path, drawn.graph)
    try:
        net = sp.load(path, dialect="nir", settings=drawn.settings)
        tried.trouble += _retimed(drawn, net, rng, tried)
        tried.trouble += _read_back(net, folder)
    except SpikeportError as error:
        tried.trouble.append(f"refused: {error}")
    except Exception as error:  # a crash is what this looks for: it must not end the search
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        tried.trouble.append(f"{type(error).__name__} in {where}: {error}")
    return tried


def _retimed(drawn: Drawn, net: Network, rng: np.random.Generator, tried: Tried) -> list[str]:
    """Return how the retimed emulator differs from the un-retimed integers."""
    clocked = to_clocked(net)
    flat = {name: x.reshape(*x.shape[:2], -1) for name, x in drawn.inputs.items()}
    data = Data(flat, None, "spikes")
    # A bound of the weights never overflows, calibration seldom, too small a peak often does.
    way = rng.choice(["bound", "calibrated", "overflowing"], p=[0.4, 0.4, 0.2])
    bound = way == "bound" and drawn.chip == "loihi1"
    peaks = {} if bound else calibrate(clocked, data)
    if way == "overflowing":
        peaks = {name: replace(peak, u=peak.u / 8, v=peak.v / 8) for name, peak in peaks.items()}
    both = run_both(clocked, _chip(drawn.chip), data.inputs, peaks)
    lags = both.program.lags
    tried.features["overflows"] += both.overflows > 0
    cells = [both.program.populations[name].cell for name in both.program.neurons]
    tried.features["held at the start"] += any(cell.start_step > 0 for cell in cells)
    tried.features["lags of several sizes"] += len(set(lags.values())) > 2
    added = set(both.program.populations) - set(clocked.populations)
    kinds = {both.program.populations[name].kind for name in added}
    tried.features["relays for long delays"] += "Relay" in kinds
    tried.features["populations"] += len(both.spikes)
    tried.features["populations that spiked"] += sum(map(bool, both.spikes.values()))
    return both.different


@cache
def _chip(name: str) -> Chip:
    return find_chip(name)


def _read_back(net: Network, folder: Path) -> list[str]:
    """Return how a network differs from what was written and read again."""
    (folder / "again").mkdir(exist_ok=True)
    path = folder / "again" / net.name
    write_network(net, path)
    again = read_network(path)
    wrong = []
    if text(again) != text(net):
        pairs = zip(text(net).splitlines(), text(again).splitlines(), strict=False)
        first = next(((a, b) for a, b in pairs if a != b), ("", "a different number of lines"))
        wrong.append(f"read back, the text differs: {first[0]!r} became {first[1]!r}")
    if again.semantics.to_dict() != net.semantics.to_dict():
        wrong.append("read back, the semantics differ")
    return wrong


def try_graphs(seeds: Iterable[int]) -> list[Tried]:
    """Try the graphs of some seeds."""
    with tempfile.TemporaryDirectory() as folder:
        return [try_graph(seed, Path(folder)) for seed in seeds]


def summary(tried: list[Tried]) -> str:
    """Return a table: what was in how many graphs, and every trouble."""
    graphs = Counter(name for each in tried for name, count in each.features.items() if count)
    total: Counter[str] = Counter()
    for each in tried:
        total.update(each.features)
    spiked = total["populations that spiked"] / max(total["populations"], 1)
    chips = Counter(each.chip for each in tried)
    lines = [f"{len(tried)} graphs: " + ", ".join(f"{n} for {chip}" for chip, n in chips.items())]
    lines += [f"  {graphs[name]:5}  {name}" for name in PRIMITIVES]
    lines += [
        f"  {count:5}  {name}"
        for name, count in graphs.most_common()
        if name not in PRIMITIVES and not name.startswith("populations")
    ]
    lines.append(f"{total['populations']} populations, {spiked:.0%} of them spiked")
    bad = [each for each in tried if each.trouble]
    for each in bad:
        lines.append(f"seed {each.seed} ({each.chip}): {each.trouble[0].splitlines()[0]}")
    lines.append(f"{len(bad)} of {len(tried)} with trouble")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Try many graphs in several processes; return 1 where something differed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--graphs", type=int, default=2000)
    parser.add_argument("--first", type=int, default=0, help="seed of the first graph")
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args(arguments)
    seeds = range(given.first, given.first + given.graphs)
    pieces = [seeds[k : k + 50] for k in range(0, len(seeds), 50)]
    with ProcessPoolExecutor(given.processes) as pool:
        tried = list(chain.from_iterable(pool.map(try_graphs, pieces)))
    print(summary(tried))
    return int(any(each.trouble for each in tried))


if __name__ == "__main__":
    sys.exit(main())
