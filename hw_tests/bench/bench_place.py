"""Packets times hops of our placement beside others', in one run.

    python -m hw_tests.bench.bench_place [--json]

One packet for each neuron and core that it reaches (every neuron spikes once). The networks: the
convolutional one of NIR's paper, a random modular one with shuffled neurons, and a random
recurrent one, each on one chip of 8 x 4 tiles of 4 cores, and on 4 chips of 4 x 2 tiles of 4.
Strategies that need METIS are skipped where pymetis cannot be imported. Then 60 small cases, each
beside the optimum of all placements, and how long `assign`, `neuron_order` and `place` take.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sparse

import spikeport as sp
from hw_tests.place_strategies import (
    STRATEGIES,
    Wiring,
    as_program,
    costs,
    optimum,
    random_network,
    small_cases,
)
from spikeport.compiler.pipeline import to_clocked
from spikeport.compiler.place.lists.order import neuron_order
from spikeport.compiler.place.mesh.assign import Mesh, assign, weighted_hops
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
CNN = CASES / "nirpaper_cnn_sinabs" / "graph.nir"
MESHES = {"1 chip": Mesh(8, 4, 4), "4 chips": Mesh(4, 2, 4, chips=4)}


def networks() -> dict[str, Wiring]:
    """Return what is placed; without the convolutional network where its file is not there."""
    found = {}
    for where, mesh in MESHES.items():
        if CNN.exists():
            found[f"CNN, 1024 neurons a core, {where}"] = cnn(CNN, 1024, mesh)
            found[f"CNN, 128 neurons a core, {where}"] = cnn(CNN, 128, mesh)
        found[f"modular, {where}"] = random_network(4000, 37, 30, 0.6, 40, mesh, seed=1)
        found[f"recurrent, {where}"] = random_network(4000, 1, 30, 0.0, 40, mesh, seed=2)
    return found


def cnn(path: Path, room: int, mesh: Mesh) -> Wiring:
    """Return the populations of a network and their weights, without its input."""
    clocked = to_clocked(sp.load(path, dialect="nir", dt=1.0))
    shapes = {
        name: tuple(each.shape)
        for name, each in clocked.populations.items()
        if each.kind != "input"
    }
    matrices = []
    for each in clocked.projections:
        weights = sparse.csr_matrix(each.matrix, copy=True)
        weights.eliminate_zeros()
        if each.pre in shapes:
            matrices.append((each.pre, each.post, weights))
    return Wiring(shapes, tuple(matrices), room, mesh)


def measure() -> dict[str, Any]:
    """Return network -> strategy -> figures, small cases, and seconds."""
    table: dict[str, Any] = {}
    for name, wiring in networks().items():
        rows: dict[str, Any] = {}
        for strategy in STRATEGIES:
            began = time.perf_counter()
            try:
                packets, hops = costs(wiring, strategy)
            except ImportError as error:
                rows[strategy] = {"skipped": str(error)}
                continue
            seconds = round(time.perf_counter() - began, 2)
            rows[strategy] = {"packets": packets, "packets_hops": hops, "seconds": seconds}
        ours = rows["ours"]["packets_hops"]
        for row in rows.values():
            if "packets_hops" in row:
                row["of_ours"] = round(row["packets_hops"] / ours, 3)
        table[name] = rows
    return {"networks": table, "small": small(), "seconds": seconds_taken()}


def small() -> dict[str, Any]:
    """Return how far from the optimum small cases are."""
    ratios = []
    for packets, mesh in small_cases():
        best = optimum(packets, mesh)
        got = weighted_hops(packets, assign(packets, mesh), mesh)
        ratios.append(got / best if best else 1.0 + got)
    return {
        "cases": len(ratios),
        "optimal": sum(ratio <= 1 + 1e-9 for ratio in ratios),
        "worst_ratio": max(ratios),
    }


def seconds_taken() -> dict[str, float]:
    """Return seconds of `assign`, `neuron_order` and `place` by size."""
    rng = np.random.default_rng(0)
    found = {}
    for cores, mesh in ((128, Mesh(8, 4, 4)), (3000, Mesh(64, 64)), (3000, Mesh(8, 4, 4, 32))):
        near = np.arange(cores).repeat(20)
        ends = (near, np.clip(near + rng.integers(-60, 60, near.size), 0, cores - 1))
        name = rng.permutation(cores)
        packets = sparse.csr_matrix((np.ones(near.size), (name[ends[0]], name[ends[1]])))
        began = time.perf_counter()
        assign(packets, mesh)
        text = f"assign {cores} cores to {mesh.cores} of {mesh.chips} chips"
        found[text] = round(time.perf_counter() - began, 2)
    wiring = random_network(100_000, 200, 50, 0.6, 1024, MESHES["1 chip"])
    matrix = wiring.matrices[0][2]
    began = time.perf_counter()
    neuron_order([], (100_000,), [matrix])
    found["order 100000 neurons of 50 inputs"] = round(time.perf_counter() - began, 2)
    began = time.perf_counter()
    image = place(as_program(wiring), sp.chip("loihi1"), 64)
    text = f"place 100000 neurons of 50 inputs on {len(image.cores)} cores of loihi1, all limits"
    found[text] = round(time.perf_counter() - began, 2)
    began = time.perf_counter()
    verify(image, full=True)
    found["verify that, packed tables included"] = round(time.perf_counter() - began, 2)
    return found


def main() -> None:
    """Print the table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    found = measure()
    if parser.parse_args().json:
        print(json.dumps(found, indent=1))
        return
    if not CNN.exists():
        print("no CNN: the folder of shared cases is not beside this checkout\n")
    for name, rows in found["networks"].items():
        print(f"{name}\n{'packets':>12} {'packets*hops':>13} {'of ours':>8} {'s':>6}")
        for strategy, row in rows.items():
            if "skipped" in row:
                print(f"{'skipped':>42}  {strategy}: {row['skipped']}")
                continue
            print(
                f"{row['packets']:12.0f} {row['packets_hops']:13.0f} {row['of_ours']:8.3f} "
                f"{row['seconds']:6.2f}  {strategy}"
            )
        print()
    print(", ".join(f"{key} {value}" for key, value in found["small"].items()))
    print("\n".join(f"{value:6.2f} s  {key}" for key, value in found["seconds"].items()))


if __name__ == "__main__":
    main()
