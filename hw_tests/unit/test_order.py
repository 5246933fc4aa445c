"""The order in which populations are cut: what shares inputs is together."""

from __future__ import annotations

import time
from importlib import import_module
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sparse

from hw_tests.place_strategies import random_network
from spikeport.compiler.place.lists.order import neuron_order
from spikeport.compiler.place.lists.refine import refine
from spikeport.compiler.place.mesh.assign import Mesh

module = import_module("spikeport.compiler.place.lists.refine")


def lists(matrix: sparse.csr_matrix, order: np.ndarray, bounds: list[int]) -> int:
    """Count (source, slice) pairs by the definition."""
    slices = [order[first:end] for first, end in pairwise(bounds)]
    return sum(np.unique(matrix[each].indices).size for each in slices)


def even(count: int, slices: int) -> list[int]:
    return [count * number // slices for number in range(slices + 1)]


def shuffled_modules(
    neurons: int, modules: int, inside: float
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Return weights among neurons with 20 inputs each, and an order that holds each module."""
    rng = np.random.default_rng(modules)
    size = neurons // modules
    rows = np.repeat(np.arange(neurons), 20)
    own = rows // size * size + rng.integers(0, size, rows.size)
    columns = np.where(
        rng.random(rows.size) < inside, own % neurons, rng.integers(0, neurons, rows.size)
    )
    name = rng.permutation(neurons)
    cells = (name[rows], name[columns])
    return sparse.csr_matrix((np.ones(rows.size), cells), (neurons, neurons)), name


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 7), (1, 6, 6), (9,), (4, 1, 1), (1, 8), (1,)])
def test_an_order_holds_every_neuron_once(shape):
    count = int(np.prod(shape))
    matrix = sparse.random(count, 12, 0.3, "csr", random_state=np.random.default_rng(0))
    assert sorted(neuron_order([matrix], shape).tolist()) == list(range(count))


def test_a_map_is_cut_into_square_patches_with_all_channels():
    order = neuron_order([], (3, 8, 8))
    for quarter in order.reshape(4, -1):
        channel, row, column = np.unravel_index(quarter, (3, 8, 8))
        assert [len(set(each.tolist())) for each in (channel, row, column)] == [3, 4, 4]
    assert (order.reshape(-1, 3) // 64 == [0, 1, 2]).all()


def test_a_patch_of_a_convolution_reads_fewer_inputs_than_a_strip():
    near = np.abs(np.arange(16)[:, None] - np.arange(16)) <= 1
    conv = sparse.csr_matrix(np.kron(np.kron(np.ones((4, 2)), near), near))  # 2 -> 4 channels
    strips = np.arange(4 * 256).reshape(4, 16, 16).transpose(1, 2, 0).ravel()
    bounds = even(1024, 16)
    assert lists(conv, neuron_order([conv], (4, 16, 16)), bounds) < 0.8 * lists(
        conv, strips, bounds
    )


@pytest.mark.parametrize("as_own", [False, True], ids=["inputs", "recurrence"])
def test_shuffled_modules_are_found_again(as_own):
    matrix, by_module = shuffled_modules(1000, 10, 0.9)
    order = neuron_order(*(([], (1000,), [matrix]) if as_own else ([matrix], (1000,))))
    bounds = even(1000, 10)
    shuffled, best = (lists(matrix, each, bounds) for each in (np.arange(1000), by_module))
    assert lists(matrix, order, bounds) < best + 0.15 * (shuffled - best)


@pytest.mark.parametrize("density", [1.0, 0.7])
def test_dense_populations_stay_in_order(density):
    matrix = sparse.random(40, 30, density, "csr", random_state=np.random.default_rng(0))
    assert neuron_order([matrix], (40,)).tolist() == list(range(40))


def test_an_order_that_is_already_good_stays():
    assert neuron_order([sparse.identity(200, format="csr")], (200,)).tolist() == list(range(200))
    blocks = sparse.csr_matrix(np.kron(np.eye(64), np.ones((8, 8))))
    assert neuron_order([], (512,), [blocks]).tolist() == list(range(512))


def test_neurons_without_inputs_and_empty_matrices_are_taken():
    matrix = shuffled_modules(300, 5, 0.8)[0].tolil()
    matrix[::3] = 0
    assert sorted(neuron_order([matrix.tocsr()], (300,)).tolist()) == list(range(300))
    assert neuron_order([sparse.csr_matrix((6, 3))], (6,)).tolist() == list(range(6))
    assert neuron_order([], (6,)).tolist() == list(range(6))


def test_the_order_is_the_same_every_time():
    matrix, _ = shuffled_modules(500, 7, 0.6)
    one, other = (neuron_order([], (500,), [matrix]) for _ in range(2))
    assert one.tolist() == other.tolist()


def test_refining_keeps_sizes_and_sends_fewer_packets():
    matrix, _ = shuffled_modules(900, 7, 0.5)
    order = neuron_order([matrix], (900,))
    bounds = [0, 100, 250, 500, 501, 900]
    refined = refine(order, bounds, [matrix])
    assert sorted(refined.tolist()) == list(range(900))
    assert lists(matrix, refined, bounds) < lists(matrix, order, bounds)
    assert refined.tolist() == refine(order, bounds, [matrix]).tolist()


def test_refining_a_recurrent_population_counts_no_packet_inside_a_slice():
    matrix, _ = shuffled_modules(600, 1, 0.0)
    bounds = even(600, 12)
    order = neuron_order([], (600,), [matrix])
    refined = refine(order, bounds, [], [matrix])

    def packets(chosen: np.ndarray) -> int:
        part = np.empty(600, int)
        part[chosen] = np.repeat(np.arange(12), np.diff(bounds))
        cells = matrix.tocoo()
        return len(
            {(n, p) for n, p in zip(cells.col, part[cells.row], strict=True) if part[n] != p}
        )

    assert packets(refined) < 0.95 * packets(order)


def test_refining_never_makes_it_worse():
    blocks = sparse.csr_matrix(np.kron(np.eye(8), np.ones((10, 10))))
    bounds = even(80, 8)
    assert lists(blocks, refine(np.arange(80), bounds, [blocks]), bounds) == 80


def test_refining_with_much_noise_gives_back_the_best_order_seen(monkeypatch):
    monkeypatch.setattr(module, "NOISE", 20.0)
    monkeypatch.setattr(module, "ROUNDS", 5)
    blocks = sparse.csr_matrix(np.kron(np.eye(8), np.ones((10, 10))))
    bounds = even(80, 8)
    assert lists(blocks, refine(np.arange(80), bounds, [blocks]), bounds) == 80


def test_the_cost_of_a_move_is_the_packets_that_it_adds(monkeypatch):
    monkeypatch.setattr(module, "SOFT", 1e-6)  # counts packets alone
    rng = np.random.default_rng(0)
    inputs = sparse.random(30, 20, 0.2, "csr", np.float32, rng).sign()
    links = sparse.random(30, 30, 0.1, "lil", np.float32, rng)
    links.setdiag(0)
    links = links.tocsr().sign()
    part = rng.integers(0, 4, 30)
    costs, now = module._costs(part, 4, [inputs], links)
    for neuron in range(30):
        for slice_ in range(4):
            moved = part.copy()
            moved[neuron] = slice_
            added = module._costs(moved, 4, [inputs], links)[1] - now
            assert costs[neuron, slice_] - costs[neuron, part[neuron]] == pytest.approx(
                added, abs=1e-3
            )


def test_a_population_too_large_to_refine_stays_as_it_is(monkeypatch):
    monkeypatch.setattr(module, "WORK", 1000)
    matrix, _ = shuffled_modules(200, 4, 0.5)
    assert refine(np.arange(200), even(200, 4), [matrix]).tolist() == list(range(200))


def test_a_hundred_thousand_neurons_take_seconds():
    matrix = random_network(100_000, 200, 50, 0.6, 1024, Mesh(1, 1)).matrices[0][2]
    began = time.process_time()
    order = neuron_order([], (100_000,), [matrix])
    assert time.process_time() - began < 10  # 1 s on an idle core
    assert sorted(order.tolist()) == list(range(100_000))
