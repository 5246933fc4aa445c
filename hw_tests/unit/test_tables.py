"""Packed tables of cores of lists: what is in them, their size, and that faults are named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from hw_tests.small_chips import chip_like, edge, on_four_cores, program_of
from spikeport.compiler.image import Image
from spikeport.compiler.place.lists.tables import HOST, CoreTables, tables
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.tables import wrong_tables

Tables = dict[int, CoreTables]


@cache
def good() -> tuple[Image, Tables]:
    image = on_four_cores()
    return image, dict(tables(image))


# --- what is in them ---------------------------------------------------------------------------


def test_a_chain_of_two_neurons_is_packed_as_one_would_by_hand():
    net = program_of(
        {"in": 1, "a": 2, "b": 1},
        edge("in", "a", np.array([[4], [6]])),
        edge("a", "b", np.array([[0, -8]]), delay=2),
    )
    packed = tables(place(net, chip_like("loihi1")))
    core, host = packed[0], packed[HOST]
    assert (core.slot_population.tolist(), core.slot_neuron.tolist()) == ([1, 1, 2], [0, 1, 0])
    assert (core.axon_population.tolist(), core.axon_neuron.tolist()) == ([0, 1], [0, 1])
    assert (core.axon_start.tolist(), core.axon_length.tolist()) == ([0, 2], [2, 1])
    assert core.axon_dense.tolist() == [True, True]
    assert core.target.tolist() == [0, 1, 2]
    assert core.weight.tolist() == [4, 6, -8]
    assert core.delay.tolist() == [1, 1, 2]
    out = [core.out_slot, core.out_core, core.out_axon, core.out_count]
    assert [column.tolist() for column in out] == [[1], [0], [1], [1]]
    assert (host.slot_population.tolist(), host.out_axon.tolist()) == ([0], [0])


def test_a_sender_with_two_lists_on_a_core_has_one_out_axon_to_both():
    image, packed = good()
    table = next(t for t in packed.values() if (t.out_count > 1).any())
    at = int(np.flatnonzero(table.out_count > 1)[0])
    there = packed[int(table.out_core[at])]
    lists = slice(table.out_axon[at], table.out_axon[at] + table.out_count[at])
    names = [image.program.synapses[n].name for n in there.axon_projection[lists]]
    assert names == ["a-b", "a-b-3"]
    assert len(set(there.axon_neuron[lists].tolist())) == 1


def test_a_million_synapses_take_less_than_16_bytes_each():
    rng = np.random.default_rng(0)
    size = 5000
    blocks = [sp.random_array((500, 500), density=0.4, rng=rng) for _ in range(size // 500)]
    matrix = sp.csr_array(sp.block_diag(blocks))
    matrix.data = np.full(matrix.nnz, 2.0)
    net = program_of({"a": size}, edge("a", "a", np.zeros((1, 1))))
    synapses = net.synapses[0].with_mantissa(matrix.astype(np.int32))
    net = replace(net, synapses=(synapses,))
    packed = tables(place(net, chip_like("loihi1")))
    count = sum(table.target.size for table in packed.values())
    assert count == matrix.nnz > 900_000
    assert sum(table.nbytes for table in packed.values()) < 16 * count


def test_tables_of_another_fabric_are_its_plan():
    image = on_four_cores()
    with pytest.raises(TypeError, match=r"truenorth is not built of lists: image\.plan is its"):
        tables(replace(image, chip=chip_like("truenorth")))


# --- faults ------------------------------------------------------------------------------------


def changed(packed: Tables, core: int, **columns: Any) -> Tables:
    return packed | {core: replace(packed[core], **columns)}


def with_entry(packed: Tables, core: int, name: str, at: int, value: int) -> Tables:
    """Return the tables with one number of a column replaced."""
    column = getattr(packed[core], name).copy()
    column[at] = value
    return changed(packed, core, **{name: column})


def without(packed: Tables, core: int, prefix: str, at: int) -> Tables:
    """Return the tables without one row of a table."""
    names = [name for name in vars(packed[core]) if name.startswith(prefix)]
    return changed(
        packed, core, **{name: np.delete(getattr(packed[core], name), at) for name in names}
    )


def exchanged(packed: Tables, core: int, name: str) -> Tables:
    """Return the tables with the first and last entry of a column exchanged."""
    column = getattr(packed[core], name).copy()
    column[[0, -1]] = column[[-1, 0]]
    return changed(packed, core, **{name: column})


def core_without_tables(packed: Tables) -> Tables:
    return {core: table for core, table in packed.items() if core != 2}


def missing_compartment(packed: Tables) -> Tables:
    return without(packed, 0, "slot_", 4)


def neuron_in_two_compartments(packed: Tables) -> Tables:
    return with_entry(packed, 0, "slot_neuron", 0, packed[0].slot_neuron[1])


def neuron_of_another_core(packed: Tables) -> Tables:
    elsewhere = next(
        table for core, table in packed.items()
        if core > 0 and table.slot_population[0] == packed[0].slot_population[0]
    )  # fmt: skip
    return with_entry(packed, 0, "slot_neuron", 0, elsewhere.slot_neuron[0])


def unknown_population_in_a_compartment(packed: Tables) -> Tables:
    return with_entry(packed, 0, "slot_population", 0, 9)


def unknown_projection(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_projection", 0, 9)


def projection_of_another_population(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_population", 0, (packed[0].axon_population[0] + 1) % 3)


def sender_beyond_its_population(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_neuron", 0, 10)


def missing_in_axon(packed: Tables) -> Tables:
    return without(packed, 0, "axon_", 0)


def synapse_without_a_delay(packed: Tables) -> Tables:
    return changed(packed, 0, delay=packed[0].delay[1:])


def in_axon_without_a_list(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_length", 0, 0)


def list_beyond_memory(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_start", 0, packed[0].target.size)


def lists_overlap(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_start", 1, packed[0].axon_start[0])


def synapse_in_no_list(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_length", 0, packed[0].axon_length[0] - 1)


def target_beyond_the_compartments(packed: Tables) -> Tables:
    return with_entry(packed, 0, "target", 0, 5)


def target_of_another_population(packed: Tables) -> Tables:
    """A list of one projection is said to be of the other from the same senders."""
    core = next(c for c, t in packed.items() if c >= 0 and 3 in t.axon_projection)
    at = int(np.flatnonzero(packed[core].axon_projection == 3)[0])
    packed = with_entry(packed, core, "axon_projection", at, 1)
    return with_entry(packed, core, "axon_population", at, 1)


def list_said_to_have_indices(packed: Tables) -> Tables:
    return with_entry(packed, 0, "axon_dense", 0, not packed[0].axon_dense[0])


def out_axon_of_no_compartment(packed: Tables) -> Tables:
    return with_entry(packed, 0, "out_slot", 0, 5)


def out_axon_to_no_core(packed: Tables) -> Tables:
    return with_entry(packed, 0, "out_core", 0, 7)


def out_axon_to_no_in_axon(packed: Tables) -> Tables:
    return with_entry(packed, 0, "out_count", 0, 99)


def out_axon_to_another_sender(packed: Tables) -> Tables:
    return exchanged(packed, HOST, "out_slot")


def out_axon_twice(packed: Tables) -> Tables:
    names = ("out_slot", "out_core", "out_axon", "out_count")
    table = packed[0]
    return changed(
        packed, 0, **{name: np.append(getattr(table, name), getattr(table, name)[0])
                      for name in names}
    )  # fmt: skip


def missing_out_axon(packed: Tables) -> Tables:
    return without(packed, 0, "out_", 0)


def one_list_of_two_not_served(packed: Tables) -> Tables:
    core = next(core for core, table in packed.items() if (table.out_count > 1).any())
    at = int(np.flatnonzero(packed[core].out_count > 1)[0])
    return with_entry(packed, core, "out_count", at, 1)


def weight_changed(packed: Tables) -> Tables:
    return with_entry(packed, 0, "weight", 0, packed[0].weight[0] + 2)


def weight_beyond_all(packed: Tables) -> Tables:
    return with_entry(packed, 0, "weight", 0, 20_000)


def weights_exchanged(packed: Tables) -> Tables:
    core = next(c for c, t in packed.items() if c >= 0 and t.weight[0] != t.weight[-1])
    return exchanged(packed, core, "weight")


def synapse_missing(packed: Tables) -> Tables:
    """The last list of a core is one shorter."""
    for core, table in packed.items():
        last = int(table.axon_start.argmax()) if table.axon_start.size else 0
        if core >= 0 and table.axon_dense[last] and table.axon_length[last] > 1:
            short = with_entry(packed, core, "axon_length", last, table.axon_length[last] - 1)
            columns = {name: getattr(table, name)[:-1] for name in ("target", "weight", "delay")}
            return changed(short, core, **columns)
    raise AssertionError("no core ends with a dense list")


def delay_changed(packed: Tables) -> Tables:
    return with_entry(packed, 0, "delay", 0, 7)


def synapse_at_another_target(packed: Tables) -> Tables:
    """The list has a target twice, and lacks another."""
    core = next(c for c, t in packed.items() if c >= 0 and t.axon_length[0] > 1)
    start = int(packed[core].axon_start[0])
    return with_entry(packed, core, "target", start, packed[core].target[start + 1])


def lists_of_two_senders_exchanged(packed: Tables) -> Tables:
    """Every list is there, and belongs to somebody else."""
    core = next(c for c, t in packed.items() if c >= 0 and 1 in t.axon_projection)
    first, second = np.flatnonzero(packed[core].axon_projection == 1)[:2]
    start = packed[core].axon_start.copy()
    start[[first, second]] = start[[second, first]]
    return changed(packed, core, axon_start=start)


FAULTS: dict[Callable[[Tables], Tables], str] = {
    core_without_tables: "core 2 has tables, or should have",
    missing_compartment: "core 0 has 4 compartments in its table, 5 in its slices",
    neuron_in_two_compartments: "a neuron is in two compartments of core 0",
    neuron_of_another_core: "a compartment of core 0 holds a neuron of another core",
    unknown_population_in_a_compartment: "core 0 holds a population that does not exist",
    unknown_projection: "an in-axon of core 0 has a projection that does not exist",
    projection_of_another_population: "an in-axon of core 0 has a projection of another population",
    sender_beyond_its_population: "an in-axon of core 0 has a sender that does not exist",
    missing_in_axon: "in-axons in its table,",
    synapse_without_a_delay: "do not all have a target, a weight and a delay",
    in_axon_without_a_list: "an in-axon of core 0 has no list",
    list_beyond_memory: "a list of core 0 leaves its memory",
    lists_overlap: "two lists of core 0 overlap",
    synapse_in_no_list: "core 0 has synapses that are in no list",
    target_beyond_the_compartments: "ends at a compartment that does not exist",
    target_of_another_population: "ends at a neuron of another population",
    list_said_to_have_indices: "with an index, its routes",
    out_axon_of_no_compartment: "an out-axon of core 0 starts at a compartment that does not exist",
    out_axon_to_no_core: "an out-axon of core 0 ends at a core that does not exist",
    out_axon_to_no_in_axon: "an out-axon of core 0 ends at no in-axon of core",
    out_axon_to_another_sender: "ends at another sender's in-axon",
    out_axon_twice: "a compartment has two out-axons to one core",
    missing_out_axon: "is served by 0 out-axons",
    one_list_of_two_not_served: "is served by 0 out-axons",
    weight_changed: "has another weight in the tables, 1 differ",
    weight_beyond_all: "is larger than any of the program's",
    weights_exchanged: "has another weight in the tables",
    synapse_missing: "the tables hold",
    delay_changed: "has not its delay of 1",
    synapse_at_another_target: "is at another place, or twice",
    lists_of_two_senders_exchanged: "in the tables",
}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_a_fault_of_the_tables_is_named(fault: Callable[[Tables], Tables]):
    image, packed = good()
    assert FAULTS[fault] in "; ".join(wrong_tables(image, fault(packed)))


def test_good_tables_pass():
    assert [*wrong_tables(*good())] == []
