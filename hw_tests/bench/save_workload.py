"""Writes what `run_saved.py` reads.  python -m hw_tests.bench.save_workload FOLDER WORKLOAD"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import spikeport as sp
from hw_tests.bench import workloads
from hw_tests.bench.ours import image_of, inputs_of, program_of


def save(folder: Path, name: str) -> None:
    """Write FOLDER/NAME.image and FOLDER/NAME.events.npz."""
    workload = workloads.read(folder, name)
    image = folder / f"{name}.image"
    image.unlink(missing_ok=True)
    sp.save_image(image_of(program_of(workload)), image)
    events = inputs_of(workload)["p0"]
    arrays = {"neuron": events.neuron, "offsets": events.offsets, "steps": events.steps}
    np.savez(folder / f"{name}.events.npz", **arrays)


if __name__ == "__main__":
    save(Path(sys.argv[1]), sys.argv[2])
