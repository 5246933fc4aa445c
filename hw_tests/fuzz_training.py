"""Random graphs in the simulator that trains: floats as the reference, integers as the emulator.

    python -m hw_tests.fuzz_training --networks 200

prints how many equal the NumPy reference under JAX, how many were moved about in a chip's
integers and then ran on its emulator in the same spikes, what was refused and with which words,
and what went wrong, with the seed that repeats it.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import nir
import numpy as np

import spikeport as sp
from hw_tests.fuzz_main import fuzz_main
from hw_tests.generate.graphs import random_graph
from hw_tests.generate.layered import layered_graph
from hw_tests.trained_runs import deploy_from_integers, unlike_reference
from spikeport.compiler.errors import GraphError, LoweringError

CHIPS = ("loihi1", "generic_graded")
WEIGHTS = ("", "4", "6")  # "": as the quantizer holds them by itself


@dataclass
class Tried:
    """What came of one graph.

    Attributes:
        seed: repeats it.
        floats: it ran under JAX.
        integers: it ran in integers.
        spikes: sent there.
        refusal: the words of what does not train it in integers.
        trouble: sentences; [] where everything agreed.
    """

    seed: int
    floats: bool = False
    integers: bool = False
    spikes: int = 0
    refusal: str = ""
    trouble: list[str] = field(default_factory=list)


def try_network(seed: int, folder: Path) -> Tried:
    """Draw the graph of a seed, of any kind where it is 3 modulo 4, and try it both ways."""
    rng = np.random.default_rng(seed)
    draw = layered_graph if seed % 4 < 3 else random_graph
    drawn = draw(rng, CHIPS[seed % 2])
    tried = Tried(seed)
    nir.write(folder / "graph.nir", drawn.graph)
    net = sp.load(folder / "graph.nir", dialect="nir", settings=drawn.settings)
    try:
        tried.trouble += unlike_reference(net, drawn.inputs)
        tried.floats = True
        bits = str(rng.choice(WEIGHTS))
        found = deploy_from_integers(net, drawn.chip, drawn.inputs, rng, folder / "moved.nir", bits)
        tried.trouble += [f"in integers, {each}" for each in found.different]
        tried.integers, tried.spikes = True, found.spikes
    except (GraphError, LoweringError) as error:
        tried.refusal = error.why
        if not (error.why and error.fix):
            tried.trouble.append(f"a refusal without reason or advice: {error}")
    except Exception as error:  # a crash is what this looks for: it must not end the search
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(at.filename).name}:{at.lineno}"
        tried.trouble.append(f"{type(error).__name__} in {where}: {error}")
    return tried


def try_networks(seeds: Iterable[int]) -> list[Tried]:
    """Try the graphs of some seeds."""
    with tempfile.TemporaryDirectory() as folder:
        return [try_network(seed, Path(folder)) for seed in seeds]


def summary(tried: list[Tried]) -> str:
    """Return what ran, what was refused, and every trouble."""
    spiked = sum(each.spikes > 0 for each in tried)
    lines = [
        f"{len(tried)} graphs: {sum(each.floats for each in tried)} ran under JAX, "
        f"{sum(each.integers for each in tried)} in integers, {spiked} of them spiked"
    ]
    refusals = Counter(each.refusal for each in tried if each.refusal)
    lines += [f"  {count:5}  refused: {words}" for words, count in refusals.most_common()]
    bad = [each for each in tried if each.trouble]
    lines += [f"seed {each.seed}: {each.trouble[0].splitlines()[0]}" for each in bad]
    lines.append(f"{len(bad)} of {len(tried)} with trouble")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """Try many graphs in several processes; return 1 where one differed or crashed."""
    return fuzz_main(__doc__, 200, 20, try_networks, summary, arguments)


if __name__ == "__main__":
    sys.exit(main())
