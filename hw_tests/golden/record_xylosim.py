"""Record xylosim 0.1.3 on networks that reach every rule of its arithmetic.

    python -m hw_tests.golden.record_xylosim INTERPRETER

run from the repository; INTERPRETER has xylosim. Writes xylosim/networks.npz, and beside it what
xylosim answered.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

from hw_tests.xylo_networks import Array, ask, draw, write

FOLDER = Path(__file__).with_name("xylosim")
SEEDS = range(10_000, 10_028)


def small(**given: object) -> dict[str, Array]:
    """Return one hidden neuron and one readout with an input of two channels."""
    network = {
        "w_in": [[1], [1]], "w_rec": [[0]], "w_out": [[1]],
        "shift_in": 0, "shift_rec": 0, "shift_out": 0,
        "dash_syn": [3], "dash_mem": [3], "v_threshold": [32767], "bias": [0],
        "dash_syn_out": [1], "dash_mem_out": [1], "v_threshold_out": [1], "bias_out": [0],
        "input": [[1, 0], [0, 1], [1, 1], [0, 0], [0, 0]],
    }  # fmt: skip
    merged = {name: np.array(value) for name, value in {**network, **given}.items()}
    return {name: value.astype(_type(name)) for name, value in merged.items()}


def _type(name: str) -> type:
    return np.uint8 if name == "input" else np.int16


def networks() -> list[dict[str, Array]]:
    """Return the corner cases, then random networks."""
    full = {"shift_in": 8, "dash_syn": [15]}
    return [
        small(w_in=[[127], [-127]], input=[[3, 3], [0, 0], [2, 5]], **full),  # order decides
        small(w_in=[[-128], [127]], input=[[3, 3], [0, 0], [2, 5]], **full),
        small(
            w_in=[[-128], [127]], bias=[-9], dash_mem=[0], input=[[4, 0], [0, 9], [0, 2]], **full
        ),
        small(w_in=[[-128], [127]], bias=[9], dash_mem=[1], input=[[4, 0], [0, 9], [0, 2]], **full),
        small(w_in=[[127], [-1]], v_threshold=[1], input=[[1, 0], [0, 0], [0, 9], [0, 15]]),  # 31
        *map(draw, SEEDS),
    ]


if __name__ == "__main__":
    asked = networks()
    with tempfile.TemporaryDirectory() as folder:
        write(FOLDER / "answers.npz", ask(sys.argv[1], asked, Path(folder)))
    write(FOLDER / "networks.npz", asked)
