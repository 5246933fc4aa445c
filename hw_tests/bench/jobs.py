"""Which simulator runs which workload how, and where its interpreter is."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = Path(__file__).resolve().parent
OURS = "spikeport"
#: Those that run Loihi's neuron, or a chip with its costs.
LOIHI_LIKE = ("lava", "nengo-loihi", "brian2-loihi", "sanafe")

COUNTED, BARE, TWO_THREADS, NUMPY = "C, cores counted", "C", "C, 2 threads", "numpy"
SAVED = "saved image"  # a whole process, from its start to the result
WORKLOADS = ("w1", "w1b64", "w2_1k", "w2_10k", "w2_100k", "w3")
SCALES = ("scale_10k", "scale_30k", "scale_100k", "scale_300k", "scale_1m")


@dataclass(frozen=True)
class Job:
    """One simulator on one workload.

    Attributes:
        workload: name.
        peer: name of the simulator.
        variant: how it runs.
        steps: how many; 0: all. Of fewer, the times are multiplied up.
        repetitions: at least; the run with the least CPU time counts.
    """

    workload: str
    peer: str
    variant: str
    steps: int = 0
    repetitions: int = 3


def jobs() -> list[Job]:
    """Return everything that `make bench` runs; NumPy comes first, for it is the reference."""
    found = []
    for name in WORKLOADS:
        once = 1 if name == "w2_100k" else 3
        found.append(Job(name, OURS, NUMPY, repetitions=once))
        found.append(Job(name, OURS, BARE, repetitions=5))
        found.append(Job(name, OURS, COUNTED, repetitions=5))
        if name == "w1b64":
            found.append(Job(name, OURS, TWO_THREADS, repetitions=5))
        found += [job for job in THEIRS if job.workload == name]
    for name in SCALES:
        found += [Job(name, OURS, variant, repetitions=2) for variant in (BARE, COUNTED)]
    return found


THEIRS = (
    Job("w1", "brian2", "C++", repetitions=9),
    Job("w1", "lava", "dense"),
    Job("w1", "nengo-loihi", "emulator"),
    Job("w1", "brian2-loihi", "numpy"),
    Job("w1", "sanafe", "simple", repetitions=1),
    Job("w1", "torch", "1 thread", repetitions=10),
    Job("w1", "nest", "1 thread"),
    Job("w1b64", "torch", "1 thread", repetitions=10),
    Job("w1b64", "torch", "2 threads", repetitions=10),
    Job("w2_1k", "brian2", "C++", repetitions=9),
    Job("w2_1k", "lava", "dense"),
    Job("w2_1k", "nengo-loihi", "emulator"),
    Job("w2_1k", "brian2-loihi", "numpy"),
    Job("w2_1k", "sanafe", "simple"),
    Job("w2_1k", "torch", "1 thread"),
    Job("w2_1k", "nest", "1 thread"),
    Job("w2_10k", "brian2", "C++", repetitions=9),
    Job("w2_10k", "lava", "sparse", repetitions=1),
    Job("w2_10k", "nengo-loihi", "emulator", repetitions=2),
    Job("w2_10k", "brian2-loihi", "numpy", repetitions=2),
    Job("w2_10k", "sanafe", "simple", repetitions=1),
    Job("w2_10k", "torch", "1 thread", repetitions=2),
    Job("w2_10k", "nest", "1 thread"),
    Job("w2_100k", "brian2", "C++"),
    Job("w2_100k", "lava", "sparse", 20, 1),
    Job("w2_100k", "nengo-loihi", "emulator", 100, 1),
    Job("w2_100k", "brian2-loihi", "numpy", 100, 1),
    Job("w2_100k", "torch", "1 thread", 50, 1),
    Job("w2_100k", "nest", "1 thread", 200, 1),
    Job("w3", "brian2", "C++", repetitions=9),
    Job("w3", "lava", "sparse"),
    Job("w3", "nengo-loihi", "emulator"),
    Job("w3", "brian2-loihi", "numpy"),
    Job("w3", "sanafe", "simple", repetitions=1),
    Job("w3", "torch", "1 thread"),
    Job("w3", "nest", "1 thread"),
)
#: Peers whose environment has another name than they.
ENVIRONMENTS = {"brian2-loihi": "brian2", "snntorch": "torch"}


def interpreter(peer: str) -> Path | None:
    """Return the Python that runs a simulator, None where it is not installed."""
    if peer == OURS:
        return Path(sys.executable)
    folder = ROOT / ".venv-peers" / ENVIRONMENTS.get(peer, peer)
    if peer == "lava":
        given = os.environ.get("SPIKEPORT_LAVA_PYTHON")
        if given:
            return Path(given)
        folder = ROOT / ".venv-lava"
    python = folder / "bin" / "python"
    return python if python.exists() else None


def command(job: Job, python: Path, data: Path) -> list[str]:
    """Return the command line of a job."""
    script = ["-m", "hw_tests.bench.ours"]
    if job.peer != OURS:
        script = [str(BENCH / "peers" / f"run_{job.peer.replace('-', '_')}.py")]
    asked = [job.workload, str(job.steps), str(job.repetitions), job.variant]
    return [str(python), *script, str(data), *asked]
