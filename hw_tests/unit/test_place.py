"""Placement: the memory formula, slices within every limit, the verifier, and what does not fit."""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sparse
from hypothesis import given, settings
from hypothesis import strategies as some

import spikeport as sp
from spikeport import backends
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError, FitError, Violation
from spikeport.compiler.image import Image
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.place.lists.memory import axon_bits, index_bits, list_bits
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import Cell, CellPopulation, Program, Synapses
from spikeport.models.neurons.lif import Lif

LOIHI = backends.find_chip("loihi1")


def chip_with(cores: int = 128, **limits: int) -> Chip:
    """Return loihi1 with other limits, and `cores` cores on tiles of one core."""
    changed = {
        name: getattr(LOIHI.core, name).model_copy(update={"value": value})
        for name, value in limits.items()
    }
    extents = {"tiles_x": cores, "tiles_y": 1, "cores_per_tile": 1}
    topology = {
        name: getattr(LOIHI.topology, name).model_copy(update={"value": value})
        for name, value in extents.items()
    }
    return LOIHI.model_copy(
        update={
            "core": LOIHI.core.model_copy(update=changed),
            "topology": LOIHI.topology.model_copy(update=topology | {"chips": None}),
        }
    )


def program(sizes: dict[str, int], *edges: tuple[str, str, Any], **registers: Any) -> Program:
    """Return a Program: `in` is the input, the others are neurons; `registers` set all of them."""
    populations = {}
    for name, size in sizes.items():
        held = {key: 0 for key in Cell.__annotations__ if key not in ("reset", "start_step")}
        del held["spiking"]
        held |= {"refractory_steps": 1, "v_threshold": 100}
        arrays = {key: np.full(size, value, np.int32) for key, value in held.items()}
        for key, value in registers.items():
            arrays[key] = np.resize(np.asarray(value, np.int32), size)
        cell = None if name == "in" else Cell(**arrays)
        kind = "input" if name == "in" else "LIF"
        populations[name] = CellPopulation(kind, (size,), cell, np.ones(size))
    synapses = tuple(
        Synapses.of(f"{pre}-{post}", pre, post, matrix, 0, "mixed") for pre, post, matrix in edges
    )
    last = list(sizes)[-1]
    return Program(1e-3, populations, synapses, {"out": last}, dict.fromkeys(sizes, 0))


def full(post: int, pre: int) -> Any:
    return np.ones((post, pre), np.int32)


# --- the memory formula ------------------------------------------------------------------------


def one_slice(lengths: Any, targets: int, delayed: bool) -> tuple[int, bool]:
    """Return the bits of the lists of one slice, and whether they store no indices."""
    starts = np.array([0, lengths.size])
    bits, dense = list_bits(lengths, starts, np.array([targets]), 8, delayed, LOIHI.core)
    return int(bits[0]), bool(dense[0])


def test_a_dense_fan_out_of_100_takes_14_words():
    """The example of nengo-loihi's bits_per_axon: 64*8+10 -> 576, 36*8+10 -> 320."""
    assert axon_bits(np.array([100]), 8, LOIHI.core).tolist() == [896]
    bits, dense = one_slice(np.full(1024, 100), 100, delayed=False)
    assert (bits // 64, dense) == (14336, True)


def test_a_group_is_rounded_up_to_words():
    lengths = np.array([0, 1, 6, 7, 64, 65, 128, 129])
    words = axon_bits(lengths, 8, LOIHI.core) // 64
    assert words.tolist() == [0, 1, 1, 2, 9, 10, 18, 19]


@pytest.mark.parametrize(
    ("targets", "bits"),
    [(1, 6), (64, 6), (65, 7), (128, 7), (129, 8), (1024, 10), (1025, 11), (4096, 12)],
)
def test_an_index_has_the_smallest_width_that_the_chip_knows(targets, bits):
    assert index_bits(targets, LOIHI.core) == bits


def test_short_lists_are_stored_with_indices_and_long_ones_without():
    few, many = np.full(10, 1), np.full(10, 99)
    assert one_slice(few, 100, delayed=False) == (10 * 64, False)
    assert one_slice(many, 100, delayed=False) == (10 * 896, True)


def test_slices_counted_together_take_what_they_take_alone():
    rng = np.random.default_rng(3)
    sizes, targets = np.array([40, 0, 7, 90]), np.array([60, 5, 300, 1000])
    starts, widest = np.concatenate([[0], np.cumsum(sizes)]), np.repeat(targets, sizes)
    lengths = 1 + rng.integers(0, widest)
    alone = [
        one_slice(lengths[first:end], size, delayed=True)
        for first, end, size in zip(starts[:-1], starts[1:], targets, strict=True)
    ]
    bits, dense = list_bits(lengths, starts, targets, 8, True, LOIHI.core)
    assert list(zip(bits.tolist(), dense.tolist(), strict=True)) == alone
    assert set(dense.tolist()) == {True, False}


def test_delays_cost_six_bits_a_synapse():
    # 64 * (8 + 6) + 10 = 906 bits, 15 words
    assert one_slice(np.array([64]), 64, delayed=True) == (15 * 64, True)


def test_a_core_holds_what_the_formula_says():
    image = place(program({"in": 1024, "a": 100}, ("in", "a", full(100, 1024))), LOIHI)
    (core,) = image.cores
    assert core.held["synaptic_memory_bits"] == (14336 * 64, 1_048_576)
    held = (core.used("compartments"), core.used("in_axons"), core.synapses)
    assert held == (100, 1024, 102_400)
    assert image.resources["synaptic_memory_bits_fullest_core"] == 14336 * 64


def test_weights_of_zero_are_no_synapses_in_any_form():
    matrix = full(3, 4)
    matrix[1] = 0
    rows = sparse.csr_array(full(3, 4))
    rows.data[4:8] = 0  # stored, and zero
    for form in (matrix, sparse.csr_array(matrix), rows):
        image = verify(place(program({"in": 4, "a": 3}, ("in", "a", form)), LOIHI))
        assert image.resources["synapses"] == 8


# --- every limit is kept -----------------------------------------------------------------------

SMALL = chip_with(
    cores=500,
    compartments=8,
    in_axons=24,
    out_axons=16,
    synaptic_memory_bits=40 * 64,
    compartment_configs=3,
    threshold_configs=2,
)


@some.composite
def programs(draw: Any) -> Program:
    """Draw three layers, forward and recurrent edges, and neurons that differ."""
    sizes = {
        "in": draw(some.integers(1, 12)),
        "a": draw(some.integers(1, 25)),
        "b": draw(some.integers(1, 25)),
    }
    rng = np.random.default_rng(draw(some.integers(0, 10**6)))
    edges = []
    for pre, post in (("in", "a"), ("a", "b"), ("in", "b"), ("b", "a"), ("b", "b")):
        if (pre, post) == ("in", "a") or draw(some.booleans()):
            shape = (sizes[post], sizes[pre])
            edges.append((pre, post, (rng.random(shape) < draw(some.floats(0, 0.5))).astype("i4")))
    kinds = draw(some.integers(1, 6))
    return program(
        sizes,
        *edges,
        decay_v=rng.integers(0, kinds, 50),
        v_threshold=rng.integers(0, draw(some.integers(1, 5)), 50),
    )


def words_of_a_list(length: int, bits: int) -> int:
    """Count words of one list, group by group."""
    groups = [min(64, length - start) for start in range(0, length, 64)]
    return sum(-(-(group * bits + 10) // 64) for group in groups)


def recounted(image: Image) -> dict[int, Counter[str]]:
    """Count what each core holds, synapse by synapse."""
    cores: dict[int, Counter[str]] = {use.core: Counter() for use in image.cores}
    home = {
        (part.population, int(neuron)): part.core
        for part in image.slices
        for neuron in part.neurons
    }
    sends = set()
    configs: dict[int, set[Any]] = {core: set() for core in cores}
    thresholds: dict[int, set[int]] = {core: set() for core in cores}
    for part in image.slices:
        count, cell = cores[part.core], image.program.populations[part.population].cell
        for neuron in part.neurons:
            count["compartments"] += 1
            configs[part.core].add(int(cell.decay_v[neuron]))
            thresholds[part.core].add(int(cell.v_threshold[neuron]))
        for each in image.program.into(part.population):
            lengths = [int(n) for n in np.count_nonzero(each.mantissa[part.neurons], axis=0) if n]
            sparse_words = sum(words_of_a_list(n, 8 + 6) for n in lengths)
            dense_words = sum(words_of_a_list(part.neurons.size, 8) for n in lengths)
            count["in_axons"] += len(lengths)
            count["synapses"] += sum(lengths)
            count["synaptic_memory_bits"] += 64 * min(sparse_words, dense_words)
            for sender in np.flatnonzero(each.mantissa[part.neurons].any(axis=0)):
                sends.add((each.pre, int(sender), part.core))
    for pre, sender, _ in sends:
        if pre != "in":
            cores[home[pre, sender]]["out_axons"] += 1
    for core, count in cores.items():
        count["compartment_configs"] = len(configs[core])
        count["threshold_configs"] = len(thresholds[core])
    return cores


def tried(drawn: Program) -> tuple[Image | None, tuple[str, ...]]:
    try:
        return verify(place(drawn, SMALL)), ()
    except FitError as error:
        return None, error.violations


often = settings(max_examples=100, deadline=None, derandomize=True)


@often
@given(programs())
def test_no_core_of_a_random_network_is_over_a_limit(drawn):
    image, violations = tried(drawn)
    if image is None:
        assert violations
        for text in violations:
            figure, limit = re.search(r"(?:needs|sends) (\d+) .*?(?:has|is) (\d+)", text).groups()
            assert int(figure) > int(limit)
        return
    placed = Counter(
        (part.population, int(neuron)) for part in image.slices for neuron in part.neurons
    )
    neurons = {(name, n) for name in ("a", "b") for n in range(drawn.populations[name].size)}
    assert placed == Counter(neurons)
    uses = {use.core: use for use in image.cores}
    for core, count in recounted(image).items():
        for name, figure in count.items():
            use = uses[core]
            if name == "synapses":
                assert figure == use.synapses
                continue
            assert figure <= use.held[name][1] == getattr(SMALL.core, name).value, (core, name)
            if not name.endswith("configs"):  # those that slices share are counted once here
                assert figure == use.used(name), (core, name)


def test_most_random_networks_fit_so_that_the_test_above_says_something():
    fits = Counter()

    @settings(max_examples=40, deadline=None, derandomize=True, database=None)
    @given(programs())
    def count(drawn):
        try:
            fits[len(place(drawn, SMALL).cores) > 1] += 1
        except FitError:
            fits["refused"] += 1

    count()
    assert fits[True] > 15
    assert fits["refused"] < 20


@pytest.mark.parametrize(
    ("limit", "value", "cores"),
    [
        ("compartments", 10, 4),
        ("synaptic_memory_bits", 5 * 64, 7),  # 6 neurons: 8*6+10 is one word
        ("threshold_configs", 2, 20),
        ("compartment_configs", 4, 10),
    ],
)
def test_a_population_is_cut_where_a_core_is_full(limit, value, cores):
    registers = {"v_threshold": np.arange(40)} if "threshold" in limit else {}
    registers |= {"decay_u": np.arange(40)} if "compartment_configs" in limit else {}
    wide = {"threshold_configs": 40, "compartment_configs": 40}
    chip = chip_with(**(wide | {limit: value}))
    image = verify(place(program({"in": 5, "a": 40}, ("in", "a", full(40, 5)), **registers), chip))
    assert len(image.cores) == cores


def test_small_populations_share_a_core():
    chain = program({"in": 3, "a": 4, "b": 2}, ("in", "a", full(4, 3)), ("a", "b", full(2, 4)))
    image = verify(place(chain, LOIHI))
    (core,) = image.cores
    assert [core.used(name) for name in ("compartments", "in_axons", "out_axons")] == [6, 7, 4]


# --- what does not fit -------------------------------------------------------------------------


def test_every_violation_is_named_at_once_with_figure_limit_and_fix():
    net = program({"in": 9, "a": 4, "b": 40}, ("in", "a", full(4, 9)), ("a", "b", full(40, 4)))
    chip = chip_with(cores=2, in_axons=8, compartments=4, out_axons=9)
    with pytest.raises(FitError) as caught:
        place(net, chip)
    assert str(caught.value) == (
        "network does not fit loihi1\n"
        "  - neuron 0 of 'a' alone (the worst of 4 such neurons) needs 9 in-axons, the limit is 8: "
        "keep at most 8 inputs of a neuron\n"
        "  - network needs 10 cores, the limit is 2: use at most 8 neurons in 'b'\n"
        "  fix: change the network as each line says, or choose a larger chip"
    )
    assert caught.value.found[1] == Violation(
        "network", "cores", 10, 2, "use at most 8 neurons in 'b'"
    )


def test_reducing_the_fan_in_as_told_makes_it_fit():
    chip = chip_with(in_axons=8)
    with pytest.raises(FitError) as caught:
        place(program({"in": 20, "a": 4}, ("in", "a", full(4, 20))), chip)
    (told,) = caught.value.violations
    most = int(re.search(r"keep at most (\d+) inputs", told).group(1))
    verify(place(program({"in": most, "a": 4}, ("in", "a", full(4, most))), chip))


def test_a_smaller_layer_as_told_makes_it_fit():
    chip = chip_with(cores=3, compartments=10)
    with pytest.raises(FitError) as caught:
        place(program({"in": 2, "a": 95}, ("in", "a", full(95, 2))), chip)
    (told,) = caught.value.violations
    assert told.startswith("network needs 10 cores, the limit is 3: use at most ")
    fewer = int(re.search(r"at most (\d+) neurons in 'a'", told).group(1))
    image = verify(place(program({"in": 2, "a": fewer}, ("in", "a", full(fewer, 2))), chip))
    assert len(image.cores) == 3


def test_as_many_chips_as_told_make_it_fit():
    small = chip_with(cores=3, compartments=10)
    chips = LOIHI.topology.chips
    chip = small.model_copy(update={"topology": small.topology.model_copy(update={"chips": chips})})
    net = program({"in": 2, "a": 95}, ("in", "a", full(95, 2)))
    with pytest.raises(FitError, match="needs 10 cores, the limit is 3: --chips 4"):
        place(net, chip)
    image = verify(place(net, chip, 4))
    assert {use.chip for use in image.cores} == {0, 1, 2, 3}
    assert [use.tile_x for use in image.cores] == [use.core for use in image.cores]


def test_a_chip_that_cannot_be_linked_is_alone():
    with pytest.raises(ChipError, match="2 chips: loihi1 can be linked to 1 at most"):
        place(program({"in": 1, "a": 1}, ("in", "a", full(1, 1))), chip_with(), 2)


def test_reaching_fewer_cores_as_told_makes_it_fit():
    chip = chip_with(compartments=2, out_axons=3)
    wide = program({"in": 1, "a": 1, "b": 10}, ("in", "a", full(1, 1)), ("a", "b", full(10, 1)))
    with pytest.raises(FitError, match="neuron 0 of 'a' alone needs 5 out-axons, the limit is 3"):
        place(wide, chip)
    some_of_b = full(10, 1)
    some_of_b[6:] = 0
    verify(place(program({"in": 1, "a": 1, "b": 10}, ("in", "a", full(1, 1)),
                         ("a", "b", some_of_b)), chip))  # fmt: skip


def test_dropping_inputs_as_told_makes_the_memory_suffice():
    chip = chip_with(synaptic_memory_bits=640)
    with pytest.raises(FitError) as caught:
        place(program({"in": 20, "a": 4}, ("in", "a", full(4, 20))), chip)
    assert caught.value.violations == (
        "neuron 0 of 'a' alone (the worst of 4 such neurons) needs 1280 bits of synaptic memory, "
        "the limit is 640: keep at most 10 inputs of a neuron",
    )
    verify(place(program({"in": 10, "a": 4}, ("in", "a", full(4, 10))), chip))


def test_slices_of_a_population_are_balanced():
    image = place(program({"in": 2, "a": 95}, ("in", "a", full(95, 2))), chip_with(compartments=32))
    assert sorted(part.neurons.size for part in image.slices) == [31, 32, 32]


# --- a chip of one's own -----------------------------------------------------------------------


def net_of(neurons: int) -> Network:
    one = np.ones(neurons)
    nodes = {
        "input": Input((3,)),
        "fc": Linear(np.ones((neurons, 3))),
        "lif": Lif(one * 1e-2, one, one * 0, one, one * 0),
        "output": Output((neurons,)),
    }
    return Network(nodes, tuple(pairwise(nodes)), name="mine")


def test_the_limits_of_a_chip_file_of_ones_own_are_kept(tmp_path):
    text = (backends.CHIPS / "loihi1.yaml").read_text()
    mine = tmp_path / "mine.yaml"
    smaller = text.replace("name: loihi1", "name: mine").replace("value: 1024", "value: 10")
    mine.write_text(smaller)
    assert sp.check(net_of(35), "loihi1")["resources"]["cores"] == 1
    verdict = sp.check(net_of(35), mine)
    assert (verdict["fits"], verdict["chip"], verdict["resources"]["cores"]) == (True, "mine", 4)
    mine.write_text(smaller.replace("value: 8\n", "value: 1\n").replace("value: 4\n", "value: 1\n"))
    verdict = sp.check(net_of(35), mine)
    assert not verdict["fits"]
    assert verdict["violations"] == ["mine needs 4 cores, the limit is 1: --chips 4"]
