"""A sparse weight is the dense one with fewer bytes: in every verb, on every chip and backend."""

from __future__ import annotations

import tracemalloc
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse as sparse

import spikeport as sp
from spikeport.compiler.check import check
from spikeport.compiler.errors import GraphError, MemoryLimit, SpikeportError
from spikeport.compiler.network import Affine, Flatten, Input, Linear, Network, Output, Scale
from spikeport.compiler.pipeline import for_chip, prepare, to_clocked
from spikeport.compiler.quantize.quantize import quantize
from spikeport.compiler.semantics import apply_settings, preset
from spikeport.models.neurons.cuba_lif import CubaLif
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.threshold import Threshold
from spikeport.verbs import chip, run

FORMS = {
    "CSR": sparse.csr_array, "CSC": sparse.csc_array, "COO": sparse.coo_array,
    "LIL": sparse.lil_array, "DOK": sparse.dok_array, "BSR": sparse.bsr_array,
    "matrix": sparse.csr_matrix,
}  # fmt: skip
CHIPS = (
    "loihi1", "loihi2", "generic_graded", "truenorth", "odin", "speck2f", "akida_akd1000",
    "xylo_audio2", "spinnaker1",
)  # fmt: skip


def sixteenths(rng: np.random.Generator, post: int, pre: int) -> np.ndarray:
    """Return weights whose sums are exact in any order, three of four of them zero."""
    return rng.integers(-24, 33, (post, pre)) / 16 * (rng.random((post, pre)) < 0.25)


def neurons(kind: str, size: int) -> If | CubaLif | Threshold:
    one = np.ones(size)
    if kind == "CubaLIF":
        return CubaLif(4e-3 * one, 2e-3 * one, one, 0 * one, one, 0 * one, 8 * one)
    return If(one, one, 0 * one) if kind == "IF" else Threshold(one)


def network(form, kind: str = "CubaLIF", recurrent: bool = True, *more: str) -> Network:
    """Return 2 x 6 -> 9 (with a loop) -> 4, each weight in some form; Scale and Affine too."""
    rng = np.random.default_rng(8)
    nodes = {
        "in": Input((2, 6)),
        "flat": Flatten(0, 1),
        "twice": Scale(np.array([2.0])),
        "w": Linear(form(sixteenths(rng, 9, 12))),
        "hidden": neurons(kind, 9),
        "loop": Linear(form(sixteenths(rng, 9, 9))),
        "v": Affine(form(sixteenths(rng, 4, 9)), rng.integers(0, 2, 4) / 4),
        "last": neurons(kind, 4),
        "out": Output((4,)),
    }
    path = ["in", "flat", "twice", "w", "hidden", "v", "last", "out"]
    edges = list(pairwise(path))
    if recurrent:
        edges += [("hidden", "loop"), ("loop", "hidden")]
    else:
        del nodes["loop"]
    said = apply_settings(preset("nir"), ["dt=1e-3", "recurrent_lag=1", *more])
    return Network(nodes, tuple(edges), said, name="both")


def spikes(shape: tuple[int, ...]) -> np.ndarray:
    return (np.random.default_rng(9).random(shape) < 0.4).astype(np.uint8)


@pytest.mark.parametrize("name", CHIPS)
@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_a_chip_gets_the_same_integers_from_both(name, form):
    target = chip(name)
    kind = next(each for each in ("CubaLIF", "IF", "Threshold") if each in target.kinds)
    found = []
    for made in (form, np.asarray):
        spike = "count" if name.startswith("xylo") else "binary"
        more = f"reset={target.resets[0]}", f"spike={spike}"
        net = network(made, kind, target.limits.delay_steps.low > 0, *more)
        try:
            retimed = for_chip(to_clocked(net), target)
            program = check(quantize(retimed, target, {}, {}), after="quantize")
        except SpikeportError as error:
            found.append(str(error))
            continue
        found.append([
            (each.pre, each.post, each.exponent, each.sign_mode, each.rows.toarray().tolist())
            for each in program.synapses
        ])  # fmt: skip
    assert found[0] == found[1]
    assert not isinstance(found[0], str)


@pytest.mark.parametrize("kind", [np.float64, np.float32])
def test_the_reference_and_the_emulator_run_it_as_the_dense_one(kind):
    thin, full = network(lambda w: sparse.csr_array(w.astype(kind))), network(np.asarray)
    x = spikes((5, 40, 2, 6))
    assert sp.compare(run(full, x), run(thin, x)).different == 0
    images = [sp.compile(net, calibration=x) for net in (full, thin)]
    parity = sp.compare(*(run(each, x) for each in images))
    assert parity.different == 0
    assert parity.populations["last"].spikes_expected > 20


def test_brian2_runs_it_as_the_reference_does(brian2):
    net, x = network(sparse.csr_array), spikes((2, 30, 2, 6))
    assert sp.compare(run(net, x), run(net, x, backend="brian2")).different == 0


def test_lava_runs_it_as_the_emulator_does(lava):
    net, x = network(sparse.csr_array), spikes((2, 30, 2, 6))
    image = sp.compile(net, calibration=x)
    assert sp.compare(run(image, x), run(image, x, backend="lava")).different == 0


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_becomes_one(form):
    weight = np.array([[0.0, 0.5, -1.0], [0.0, 0.0, 0.0], [2.0, 0.0, 0.25]])
    kept = Linear(form(weight)).weight
    assert isinstance(kept, sparse.csr_array)
    assert kept.has_canonical_format
    assert kept.indices.dtype == kept.indptr.dtype == np.int32
    assert np.array_equal(kept.toarray(), weight)


def test_an_array_that_fits_is_shared_and_frozen():
    given = sparse.csr_array(np.eye(3, dtype=np.float32))
    kept = Affine(given, np.zeros(3)).weight
    assert np.shares_memory(kept.data, given.data)
    assert np.shares_memory(kept.indices, given.indices)
    with pytest.raises(ValueError, match="read-only"):
        kept.data[0] = 2


def test_duplicates_are_added_and_zeros_left_out():
    parts = (np.array([4.0, 0, 3, 5, 3]), np.array([1, 2, 2, 0, 2]), np.array([0, 2, 5]))
    kept = Linear(sparse.csr_array(parts, shape=(2, 3))).weight
    assert (kept.indices.tolist(), kept.data.tolist()) == ([1, 0, 2], [4, 5, 6])


@pytest.mark.parametrize("kind", [bool, np.int8, np.uint16, np.int64, np.longdouble])
def test_other_numbers_become_float64(kind):
    kept = Linear(sparse.csr_array(np.eye(3).astype(kind))).weight
    assert kept.dtype == np.float64
    assert np.array_equal(kept.toarray(), np.eye(3))


@pytest.mark.parametrize(
    ("weight", "said"),
    [
        (
            sparse.coo_array(np.ones(3)),
            "a sparse weight has the shape (3,): a weight has a row per output and a column per "
            "input\n  fix: give a matrix: scipy.sparse.csr_array((data, indices, indptr), "
            "shape=(post, pre))",
        ),
        (
            sparse.csr_array(np.eye(2) * 1j),
            "a sparse weight holds complex128: weights are real numbers\n"
            "  fix: convert it: weight.astype(float)",
        ),
        (
            sparse.csr_array(np.array([[1.0, np.nan]])),
            "a sparse weight holds NaN or infinity: no state could be computed with it\n"
            "  fix: train again; NaN usually means that training diverged",
        ),
    ],
    ids=["a vector", "complex", "NaN"],
)
def test_what_is_no_weight_is_refused(weight, said):
    with pytest.raises(GraphError) as caught:
        Linear(weight)
    assert str(caught.value) == said


def test_a_weight_that_does_not_fit_is_refused_as_a_dense_one_is():
    said = []
    for form in (np.asarray, sparse.csr_array):
        nodes = {"in": Input((3,)), "w": Linear(form(np.eye(2))), "out": Output((2,))}
        with pytest.raises(GraphError) as caught:
            prepare(Network(nodes, (("in", "w"), ("w", "out"))))
        said.append(str(caught.value))
    assert said[0] == said[1]
    assert "its weight (2, 2) takes (2,), it gets (3,)" in said[0]


# --- large ones --------------------------------------------------------------------------------

LARGE = 20_000  # neurons; a dense weight would take 3.2 GB


def large() -> Network:
    """Return a recurrent network with four weights per neuron."""
    rng = np.random.default_rng(10)
    columns = np.sort(rng.integers(0, LARGE // 4, (LARGE, 4)) + np.arange(4) * (LARGE // 4))
    data = rng.normal(0, 0.2, columns.size).astype(np.float32)
    rows = sparse.csr_array((data, columns.ravel(), 4 * np.arange(LARGE + 1)), (LARGE, LARGE))
    nodes = {"in": Input((LARGE,)), "w": Linear(sparse.eye_array(LARGE, format="csr"))}
    nodes |= {"loop": Linear(rows), "n": neurons("CubaLIF", LARGE), "out": Output((LARGE,))}
    edges = (("in", "w"), ("w", "n"), ("n", "loop"), ("loop", "n"), ("n", "out"))
    return Network(nodes, edges, apply_settings(preset("nir"), ["dt=1e-3"]), name="large")


def test_a_large_one_is_never_made_dense():
    net, target = large(), chip("loihi1")
    x = spikes((1, 3, LARGE))
    tracemalloc.start()
    try:
        program = quantize(for_chip(to_clocked(net), target), target, {}, {})
        check(program, after="quantize")
        run(net, x)
        run(program, x)
        assert tracemalloc.get_traced_memory()[1] < 100e6
    finally:
        tracemalloc.stop()
    assert sum(each.count for each in program.synapses) > 4.5 * LARGE


def test_a_nir_file_holds_it_dense_where_that_is_small(tmp_path):
    for max_memory in (None, "8KiB", 8000):
        path = tmp_path / f"{max_memory}.nir"
        sp.write(network(sparse.csr_array), path, max_memory)
        back, full = sp.load(path), network(np.asarray)
        for name in ("w", "loop", "v"):
            assert np.array_equal(back.nodes[name].weight, full.nodes[name].weight)


def test_a_nir_file_of_it_is_refused_before_it_takes_memory(tmp_path):
    net = large()
    tracemalloc.start()
    try:
        with pytest.raises(MemoryLimit) as caught:
            sp.write(net, tmp_path / "large.nir", "2GiB")
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    assert str(caught.value) == (
        "large: NIR has dense weights only, and to write the sparse 'w' (20000, 20000), 'loop' "
        "(20000, 20000) as such needs 17.9 GiB of memory: 2.00 GiB are allowed\n"
        "  fix: keep the arrays (scipy.sparse.save_npz) or the compiled image "
        "(spikeport.save_image), or allow it: --max-memory 18GiB (max_memory= in Python)"
    )
    assert list(tmp_path.iterdir()) == []
