"""Networks with many synapses: counted in one pass, not searched in vain, small at rest."""

from __future__ import annotations

import pickle
from dataclasses import replace
from importlib import import_module
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse

from hw_tests.broken_images import named, with_held
from hw_tests.place_strategies import random_network
from hw_tests.small_chips import chip_like, edge, on_four_cores, program_of
from spikeport.backends import find_chip
from spikeport.compiler.errors import FitError
from spikeport.compiler.image import Slice
from spikeport.compiler.place.lists.cut import cut
from spikeport.compiler.place.lists.need import limits_of, load_of, needs_of
from spikeport.compiler.place.mesh.assign import STRUCTURED, Mesh, assign
from spikeport.compiler.place.place import place
from spikeport.compiler.place.routes import Routes, traffic_between, traffic_of
from spikeport.compiler.place.structure import MORE, by_chance
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import Program, Synapses

MESH = Mesh(8, 4, 4)
cutting = import_module("spikeport.compiler.place.lists.cut")


def random(neurons: int, modules: int = 1, inside: float = 0.0, inputs: int = 40) -> Any:
    """Return weights of one, (neurons, neurons), between shuffled neurons."""
    wiring = random_network(neurons, modules, inputs, inside, 1024, MESH, seed=modules)
    matrix = sparse.csr_array(wiring.matrices[0][2])
    matrix.sum_duplicates()
    matrix.data = np.ones(matrix.nnz, np.int32)
    return matrix


def plane(side: int, inputs: int, reach: float) -> Any:
    """Return weights between shuffled neurons that are near on a torus."""
    rng = np.random.default_rng(side)
    y, x = np.divmod(np.arange(side * side), side)
    right, up = rng.normal(0, reach, (2, side * side, inputs)).round().astype(int)
    near = (x[:, None] + right) % side * side + (y[:, None] + up) % side
    name = rng.permutation(side * side)
    cells = np.repeat(name, inputs), name[near.ravel()]
    return sparse.csr_array((np.ones(near.size, np.int32), cells), (side * side,) * 2)


def recurrent(matrix: Any) -> Program:
    size = matrix.shape[0]
    first = sparse.random_array((size, 300), density=0.02, rng=np.random.default_rng(0))
    first.data[:] = 1
    return program_of(
        {"in": 300, "a": size},
        Synapses.of("in-a", "in", "a", first.astype(np.int32).tocsr(), 0, "mixed"),
        Synapses.of("a-a", "a", "a", matrix, 0, "mixed"),
    )


# --- is there anything to search for -----------------------------------------------------------

TRAFFIC = np.random.default_rng(1)
FAR = np.abs(np.subtract.outer(np.arange(300), np.arange(300)))
CHANCE = {
    "random": (random(4000), False),
    "random, twice as large": (random(8000, inputs=80), False),
    "dense": (np.ones((300, 200)), False),
    "even traffic": (TRAFFIC.poisson(30, (300, 300)), True),
    "little even traffic": (TRAFFIC.poisson(1.2, (600, 600)), True),
}
STRUCTURE = {
    "modules": (random(4000, 40, 0.6), False),
    "modules, mostly from elsewhere": (random(4000, 40, 0.3), False),
    "plane": (plane(64, 40, 4), False),
    "bands of cores": (TRAFFIC.poisson(20 + 60 * (FAR // 30 == 0)), True),
    "ring of cores": (TRAFFIC.poisson(100 * np.exp(-np.minimum(FAR, 300 - FAR) / 20)), True),
    "layers of cores": (np.kron(np.eye(5, k=1), np.full((60, 60), 9)), True),
}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", CHANCE)
def test_what_is_drawn_by_chance_is_known_for_it(name: str, seed: int):
    matrix, weighted = CHANCE[name]
    assert by_chance(matrix, weighted, STRUCTURED if weighted else MORE, seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", STRUCTURE)
def test_what_has_an_order_to_find_is_known_for_it(name: str, seed: int):
    matrix, weighted = STRUCTURE[name]
    assert not by_chance(matrix, weighted, STRUCTURED if weighted else MORE, seed)


def test_even_traffic_of_many_cores_stays_in_order():
    rng = np.random.default_rng(0)
    assert assign(rng.poisson(40, (300, 300)), Mesh(20, 20)).tolist() == list(range(300))


@pytest.mark.parametrize(("modules", "searched"), [(1, False), (40, True)])
def test_a_large_population_is_searched_only_where_it_has_structure(
    modules: int, searched: bool, monkeypatch: pytest.MonkeyPatch
):
    matrix = random(4000, modules, 0.6 if modules > 1 else 0.0)
    monkeypatch.setattr(cutting, "LARGE", matrix.nnz)
    made = cut(recurrent(matrix), find_chip("loihi1").core)
    assert (made.ordered["a"].order.tolist() != list(range(4000))) == searched


# --- slices that are cut together --------------------------------------------------------------


@pytest.mark.parametrize("modules", [1, 10])
@pytest.mark.parametrize("limit", [{"in_axons": 300}, {"compartments": 9},
                                   {"synaptic_memory_bits": 20_000}])  # fmt: skip
def test_slices_cut_ahead_fit_and_are_hardly_more(
    limit: dict[str, int], modules: int, monkeypatch: pytest.MonkeyPatch
):
    program = recurrent(random(2000, modules, 0.7 if modules > 1 else 0.0))
    core = chip_like("loihi1", **limit, out_axons=100_000).core
    ahead = cut(program, core)
    monkeypatch.setattr(cutting, "AHEAD", 1 << 40)
    alone = cut(program, core)
    for made in (ahead, alone):
        needs = needs_of(made.ordered["a"], core, made.bounds["a"])
        assert load_of(needs, limits_of(core)).max() <= 1
        assert made.bounds["a"][-1] == 2000
    assert len(ahead.bounds["a"]) > 64
    assert len(ahead.bounds["a"]) <= 1.04 * len(alone.bounds["a"])


# --- traffic and routes ------------------------------------------------------------------------


def test_the_traffic_counted_from_lists_is_that_of_the_routes():
    """Two projections between a pair, and two populations on one core, send one packet."""
    rng = np.random.default_rng(5)
    sizes = {"in": 8, "a": 40, "b": 12, "c": 7}
    pairs = [("in", "a"), ("a", "a"), ("a", "b"), ("a", "b"), ("a", "c"), ("b", "c"), ("c", "a")]
    edges = [
        edge(pre, post, (rng.random((sizes[post], sizes[pre])) < 0.1).astype(np.int32))
        for pre, post in pairs
    ]
    program = program_of(sizes, *(replace(each, name=f"{n}") for n, each in enumerate(edges)))
    core = chip_like("loihi1", compartments=12).core
    made = cut(program, core)
    parts = [
        (name, np.sort(each.order[first:end]))
        for name, each in made.ordered.items()
        for first, end in pairwise(made.bounds[name])
    ]
    assert len(parts) == 6
    where = [0, 1, 2, 3, 4, 4]  # b and c share a core
    slices = tuple(Slice(*part, core) for part, core in zip(parts, where, strict=True))
    counted = traffic_of(program, slices, made.lists, 5).toarray()
    routes = Routes(program, slices, core)
    assert counted.any()
    assert counted.T.tolist() == traffic_between(routes, 5).toarray().tolist()


def test_routes_can_be_asked_for_in_every_way_of_a_sequence():
    image = on_four_cores()
    routes = list(image.routes)
    assert len(image.routes) == len(routes) > 4
    assert [each.target_core for each in image.routes[1:3]] == [r.target_core for r in routes[1:3]]
    assert image.routes[-1].neurons.tolist() == routes[-1].neurons.tolist()


@pytest.mark.parametrize("together", [1, 2, 1024])
def test_routes_are_the_same_however_many_cores_are_looked_at_at_once(
    together: int, monkeypatch: pytest.MonkeyPatch
):
    image = place(recurrent(random(600)), chip_like("loihi1", compartments=50))
    wanted = [(r.pre, r.target_core, r.neurons.tolist(), r.synapses.tolist())
              for r in image.routes]  # fmt: skip
    module = import_module("spikeport.compiler.place.routes")
    monkeypatch.setattr(module, "TOGETHER", together)
    found = [(r.pre, r.target_core, r.neurons.tolist(), r.synapses.tolist()) for r in image.routes]
    assert len(image.cores) == 12
    assert found == wanted


def test_an_image_at_rest_is_hardly_larger_than_its_program():
    program = recurrent(random(4000, inputs=100))
    image = place(program, find_chip("loihi2"))
    size = len(pickle.dumps(image)) - len(pickle.dumps(program))
    assert len(image.cores) > 4
    assert size < 0.3 * image.resources["synapses"]


# --- the verifier ------------------------------------------------------------------------------


@pytest.mark.parametrize("together", [1, 3])
def test_faults_are_found_however_many_cores_are_counted_at_once(
    together: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(
        import_module("spikeport.compiler.place.verify.lists"), "TOGETHER", together
    )
    image = on_four_cores()
    assert verify(image) is image
    used = image.cores[2].used("in_axons")
    assert f"core 2 holds {used} in_axons" in named(with_held(image, 2, in_axons=(used + 1, 4096)))


def test_what_a_large_image_does_not_hold_is_compared_when_asked_for(
    monkeypatch: pytest.MonkeyPatch,
):
    module = import_module("spikeport.compiler.place.verify.verify")
    monkeypatch.setattr(module, "ALWAYS_READ_BACK", 1)
    image = on_four_cores()
    broken = replace(image, routes=image.routes[1:])
    assert verify(broken) is broken
    with pytest.raises(FitError, match="is not routed"):
        verify(broken, full=True)
