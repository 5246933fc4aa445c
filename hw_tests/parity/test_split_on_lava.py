"""Projections split over several synapses: emulator and Lava agree, and all parts are counted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hw_tests.fuzz_engine import everything
from hw_tests.parity.test_lava import differences, loop
from hw_tests.split_programs import split_program
from spikeport.backends import emulator, find_chip
from spikeport.backends.emulator.engines import is_built
from spikeport.compiler.errors import FitError
from spikeport.compiler.measure.energy import cost
from spikeport.compiler.place.place import place
from spikeport.compiler.place.verify.verify import verify
from spikeport.compiler.program import Synapses

LOIHI = find_chip("loihi1")
TWO, THREE = (6, 0), (5, 0, -6)


def programs(networks, exponents, how_many):
    return [
        split_program(networks, np.random.default_rng([seed, len(exponents)]), exponents)
        for seed in range(how_many)
    ]


def with_probes(program, x, engine):
    probe = [f"{name}.{variable}" for name in program.neurons for variable in "uv"]
    return emulator.run(program, x, 32, probe=probe, engine=engine)


def in_one_piece(program):
    """Return the program with every projection's weights in one synapse of 32 bits."""
    whole = {}
    for each in program.synapses:
        weights = each.rows.toarray().astype(np.int64) << each.exponent
        before = whole.get(each.projection)
        whole[each.projection] = Synapses.of(
            each.projection,
            each.pre,
            each.post,
            (weights + (0 if before is None else before.mantissa)).astype(np.int32),
            0,
            "signed",
            32,
            each.delay_steps,
        )
    return replace(program, synapses=tuple(whole.values()))


@pytest.mark.parametrize("exponents", [TWO, THREE], ids=["two parts", "three parts"])
def test_split_projections_equal_lava_in_every_u_v_and_spike(lava, networks, exponents):
    drawn = programs(networks, exponents, 30)
    jobs = [lava.Job(program, x, 32) for program, x in drawn]
    spikes = 0
    for (program, x), traces in zip(drawn, lava.run_many(jobs), strict=True):
        assert len(program.synapses) == 5 * len(exponents)
        assert differences(traces, *loop(program, x, 32)) == {}
        ours = with_probes(program, x, None)
        sent = {name: events.dense() for name, events in ours.spikes.items()}
        assert differences(traces, sent, ours.probes) == {}
        spikes += traces.spikes["b"].total
    assert spikes > 1000


def test_parts_without_a_remainder_are_the_wide_weights(networks):
    for program, x in programs(networks, TWO, 30):
        split, whole = (with_probes(each, x, None) for each in (program, in_one_piece(program)))
        for key, values in split.probes.items():
            np.testing.assert_array_equal(values, whole.probes[key])


@pytest.mark.skipif(not is_built(), reason="the C engine was not built")
@pytest.mark.parametrize("exponents", [TWO, THREE], ids=["two parts", "three parts"])
def test_both_engines_agree_on_split_projections(networks, exponents):
    for program, x in programs(networks, exponents, 30):
        c, numpy = (everything(with_probes(program, x, name)) for name in ("c", "numpy"))
        assert c.keys() == numpy.keys()
        for key, (values, _) in c.items():
            np.testing.assert_array_equal(values, numpy[key][0], err_msg=key)


def operations(program, traces):
    """Return how many synapses the spikes of a run meet."""
    total = 0
    for each in program.synapses:
        reached = np.count_nonzero(each.rows.toarray(), axis=0)
        total += int((traces.spikes[each.pre].dense() @ reached).sum())
    return total


def test_memory_and_synaptic_operations_are_those_of_all_parts(networks):
    for program, x in programs(networks, TWO, 10):
        parts = [replace(program, synapses=program.synapses[at::2]) for at in (0, 1)]
        image, *alone = (verify(place(each, LOIHI), full=True) for each in (program, *parts))
        for resource in ("synapses", "synaptic_memory_bits"):
            wanted = sum(each.resources[resource] for each in alone)
            assert image.resources[resource] == wanted
        traces = emulator.run(image, x, 32, count_cores=True)
        met = operations(program, traces)
        assert met == sum(operations(each, traces) for each in parts) > 0
        assert traces.cores["synaptic_ops"].sum() == met
        ledger = cost(image, traces, "davies2018").ledger
        counted = sum(each.events_per_sample for each in ledger if each.kind == "synaptic_op")
        assert counted * traces.samples == met


def test_an_image_without_one_of_two_parts_is_found_out(networks):
    program, _ = programs(networks, TWO, 1)[0]
    image = place(replace(program, synapses=program.synapses[1:]), LOIHI)
    with pytest.raises(FitError, match="the placement of split is wrong"):
        verify(replace(image, program=program), full=True)
