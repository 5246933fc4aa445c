"""What quantization lost is split over its causes: what each does alone, and without it."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import spikeport as sp
from hw_tests.generate.faults import louder
from hw_tests.generate.healthy import drawn
from hw_tests.seeded_faults import table, trials
from spikeport.attribution import attribute
from spikeport.backends import emulator, reference
from spikeport.compiler.errors import LoweringError
from spikeport.compiler.measure.dequantize import dequantized, in_one_shape
from spikeport.compiler.measure.hybrid import hybrid, parts_of
from spikeport.compiler.measure.parity import compare
from spikeport.compiler.network import Affine, Input, Linear, Network, Output
from spikeport.compiler.pipeline import for_chip, to_clocked
from spikeport.compiler.semantics import apply_settings, preset
from spikeport.data import read_data
from spikeport.models.neurons.if_ import If
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif
from spikeport.pages.html import page
from spikeport.pages.markdown import summary


def network(neuron, weight, bias=None, settings=(), said="nir"):
    """One layer: the input, its weights, the neurons."""
    nodes = {"in": Input((weight.shape[1],)), "n": neuron, "out": Output((weight.shape[0],))}
    nodes["w"] = Linear(weight) if bias is None else Affine(weight, bias)
    edges = (("in", "w"), ("w", "n"), ("n", "out"))
    contract = apply_settings(preset(said), ["dt=1e-4", *settings])
    return Network(nodes, edges, contract, name="one layer")


def integrators(size, threshold=1.0):
    one = np.ones(size)
    return If(one * 1e4, threshold * one, 0 * one)


def leaky(size, steps=8):
    one = np.ones(size)
    return Lif(steps * 1e-4 * one, steps * one, 0 * one, one, 0 * one)


def lossy(seed=0, size=12):
    """A layer of leaky neurons whose weights do not fit eight bits, and spikes for it."""
    rng = np.random.default_rng(seed)
    net = network(leaky(size), rng.normal(0.1, 0.4, (size, 9)), rng.normal(0, 0.1, size))
    return net, (rng.random((8, 80, 9)) < 0.3).astype(np.uint8)


def lowered(net, x, chip="loihi1", kind="spikes"):
    data = read_data(x, net, kind)
    image = sp.compile(net, chip, calibration=x, kind=kind)
    return for_chip(to_clocked(net), image.chip, frozenset(data.host())), image, data


def cells_between(one, other):
    return compare(one, other).different


def test_a_chip_that_holds_everything_differs_in_no_part():
    x = np.random.default_rng(1).integers(0, 2, (4, 50, 3)).astype(np.uint8)
    retimed, image, data = lowered(
        network(integrators(2, 2.0), np.array([[1.0, 255.0, 2.0]] * 2)), x
    )
    assert parts_of(retimed, dequantized(retimed, image.program)) == []
    found = attribute(retimed, image, data)
    assert found["rows"] == []
    assert found["note"] == "every cell is as in the reference"


def test_the_chips_parameters_in_floats_miss_only_the_rounding_of_states():
    """Integrators have none of it; with the others few cells of those that differ are left."""
    lost, apart = {}, {}
    for seed in range(20):
        well = drawn(np.random.default_rng(seed), fine=bool(seed % 2))
        floats = dequantized(well.retimed, well.image.program)
        kind = "IF" if " IF" in f" {well.name}" else "leaky"
        missed = cells_between(reference.run(floats, well.data.inputs), well.emulator)
        apart[kind] = apart.get(kind, 0) + missed
        lost[kind] = lost.get(kind, 0) + well.lost
    assert min(lost.values()) > 1000
    assert apart["IF"] == 0
    assert apart["leaky"] < 0.05 * lost["leaky"]


def test_weights_in_several_synapses_are_their_sum():
    net, x = lossy()
    retimed, image, _ = lowered(net, x)
    whole = next(each for each in image.program.synapses if each.pre == "in")
    half = whole.mantissa // 4 * 2
    parts = (
        replace(whole.with_mantissa(half), part_of=whole.name),
        replace(
            whole.with_mantissa((whole.mantissa - half).astype(np.int32)),
            name="rest",
            part_of=whole.name,
        ),
    )
    others = tuple(each for each in image.program.synapses if each is not whole)
    split = replace(image.program, synapses=(*others, *parts))
    one, other = (dequantized(retimed, program) for program in (image.program, split))
    assert parts_of(one, other) == []
    assert parts_of(retimed, other) != []


def test_a_hybrid_of_all_parts_is_the_chip_and_of_none_the_network():
    well = drawn(np.random.default_rng(5), fine=False)
    chip = dequantized(well.retimed, well.image.program)
    parts = parts_of(well.retimed, chip)
    assert len(parts) > 3
    assert parts_of(hybrid(well.retimed, chip, parts), chip) == []
    assert parts_of(hybrid(well.retimed, chip, []), well.retimed) == []
    for part in parts:
        assert parts_of(well.retimed, hybrid(well.retimed, chip, [part])) == [part]
        assert parts_of(chip, hybrid(chip, well.retimed, [part])) == [part]


def test_a_delay_is_a_part_of_its_own():
    well = drawn(np.random.default_rng(5), fine=True)
    chip = dequantized(well.retimed, well.image.program)
    late = tuple(replace(each, delay=each.delay + 1) for each in chip.projections)
    chip, part = replace(chip, projections=late), ("delay", late[0].name)
    assert parts_of(well.retimed, hybrid(well.retimed, chip, [part])) == [part]
    assert part in parts_of(well.retimed, chip)
    assert part not in parts_of(well.retimed, hybrid(chip, well.retimed, [part]))


@pytest.mark.parametrize("seed", [1, 2, 7, 12])
def test_rows_are_what_whole_runs_of_the_hybrids_give(seed):
    """Attribution runs only what lies behind a part; here everything is run."""
    well = drawn(np.random.default_rng(seed), fine=False)
    chip = dequantized(well.retimed, well.image.program)
    found = attribute(well.retimed, well.image, well.data, samples=well.data.samples)
    inputs = well.data.inputs
    ideal, everything = (reference.run(each, inputs) for each in (well.retimed, chip))
    assert found["different"] == cells_between(ideal, well.emulator)
    assert found["in_floats"] == cells_between(ideal, everything)
    rows = {(row["cause"], row["object"]): row for row in found["rows"]}
    state = rows.pop(("state", "all populations"))
    assert list(rows) != []
    assert state["alone"] == cells_between(everything, well.emulator)
    assert state["without"] == found["different"] - found["in_floats"]
    for part, row in rows.items():
        alone = reference.run(hybrid(well.retimed, chip, [part]), inputs)
        without = reference.run(hybrid(chip, well.retimed, [part]), inputs)
        assert row["alone"] == cells_between(ideal, alone)
        assert row["without"] == found["in_floats"] - cells_between(ideal, without)
        shares = sorted(np.clip([row["alone"], row["without"]], 0, None) / found["different"])
        assert [row["low"], row["high"]] == pytest.approx(np.minimum(shares, 1.0))


def test_rows_are_ranked_by_both_directions():
    net, x = lossy()
    rows = sp.attribute(net, sp.compile(net, calibration=x), x)["rows"]
    sizes = [row["alone"] + row["without"] for row in rows]
    assert sizes == sorted(sizes, reverse=True)
    assert (rows[0]["cause"], rows[0]["object"]) == ("weights", "w")


def test_many_parts_are_replaced_a_layer_at_a_time():
    """Forty layers have more than 64 parts: each layer is one row, and its parts are together."""
    rng, edges = np.random.default_rng(0), []
    nodes = {"in": Input((9,))}
    for at in range(40):
        nodes |= {f"w{at}": Affine(rng.normal(0.1, 0.4, (6, 9)), rng.normal(0, 0.1, 6))}
        nodes |= {f"n{at}": leaky(6), f"out{at}": Output((6,))}
        edges += pairwise(["in", f"w{at}", f"n{at}", f"out{at}"])
    contract = apply_settings(preset("nir"), ["dt=1e-4"])
    net = Network(nodes, tuple(edges), contract, name="wide")
    retimed, image, data = lowered(net, lossy()[1])
    found = attribute(retimed, image, data, samples=8)
    rows = {row["object"]: row for row in found["rows"]}
    assert {row["cause"] for row in found["rows"]} == {"layer", "state"}
    assert len(rows) == 41
    chip = dequantized(retimed, image.program)
    most = max((row for row in found["rows"]), key=lambda row: row["alone"])["object"]
    parts = [part for part in parts_of(retimed, chip) if part[1].split(".")[0][1:] == most[1:]]
    assert len(parts) > 1
    alone = reference.run(hybrid(retimed, chip, parts), data.inputs)
    assert rows[most]["alone"] == cells_between(reference.run(retimed, data.inputs), alone) > 0


def test_a_table_of_few_samples_says_how_many_it_looked_at():
    x = np.random.default_rng(1).integers(0, 2, (4, 50, 3)).astype(np.uint8)
    net = network(integrators(2, 2.0), np.array([[1.0, 255.0, 2.0]] * 2))
    found = sp.attribute(net, sp.compile(net, calibration=x), x, samples=3)
    assert found["note"] == "every cell is as in the reference, on the first 3 of 4 samples"


def test_accuracy_is_split_too():
    """All classes are right in the reference; the bits of the weights cost some of them."""
    net, x = lossy(3)
    labels = sp.run(net, x).window("n").sum(axis=1).argmax(axis=1)
    retimed, image, data = lowered(net, x)
    whole = next(each for each in image.program.synapses if each.pre == "in")
    silent = np.arange(12) == labels[0]
    coarse = whole.with_mantissa(np.where(silent[:, None], 0, whole.mantissa).astype(np.int32))
    synapses = tuple(coarse if each is whole else each for each in image.program.synapses)
    program = replace(image.program, synapses=synapses)
    found = attribute(retimed, program, data, labels)
    assert found["accuracy"][0] == 1.0 > found["accuracy"][1]
    first = found["rows"][0]
    assert first["cause"] == "weights"
    assert first["accuracy_alone"] > 0 < first["predictions_alone"]
    assert found["predictions"] == round((1 - found["accuracy"][1]) * 8)


def loud(net, x, up):
    """The layer at 2**up times its scale: weights, threshold and biases fill more bits."""
    retimed, image, data = lowered(net, x)
    return retimed, louder(image.program, "n", up), data


def test_a_current_that_wraps_is_told_from_a_voltage_that_saturates():
    """One spike of weight 4 wraps u; -1/2 a step ends in v's lowest level and no u wraps."""
    x = np.zeros((1, 60, 2), np.uint8)
    x[:, ::2, 0] = 1
    retimed, program, data = loud(network(leaky(1), np.array([[4.0, 0.7]])), x, 5)
    assert attribute(retimed, program, data)["rows"][0]["cause"] == "wrap"
    x[:, :30, 1], x[:, 30:, 1], x[..., 0] = 1, 0, 0
    x[:, 30:, 0] = 1
    retimed, program, data = loud(network(integrators(1), np.array([[0.5, -0.5]])), x, 5)
    assert attribute(retimed, program, data)["rows"][0]["cause"] == "saturation"


def test_what_the_chip_received_is_a_cause():
    net, x = lossy()
    retimed, image, data = lowered(net, x)
    other = np.roll(x, 3, axis=1)
    found = attribute(retimed, image, data, ran=emulator.run(image, {"in": other}))
    assert (found["rows"][0]["cause"], found["rows"][0]["object"]) == ("input", "in")


def test_a_stream_is_cut_into_its_samples():
    net, x = lossy()
    labels = np.arange(8) % 12
    found = sp.deploy(
        net, data={"x": x, "labels": labels}, stream=True, backends_wanted=["emulator"]
    )
    table = found["attribution"]
    assert table["samples"] == 8
    assert table["different"] == found["parity"]["emulator_vs_reference"]["different"]
    assert table["accuracy"] == [found["accuracy"][side] for side in ("reference", "emulator")]


def test_a_real_valued_input_is_taken_apart():
    net, _ = lossy()
    x = np.random.default_rng(7).normal(0.4, 0.6, (6, 80, 9))
    retimed, image, data = lowered(net, x, kind="current")
    population = image.program.populations["n"]
    higher = np.rint(population.cell.v_threshold * 1.2).astype(np.int32)
    changed = replace(population, cell=replace(population.cell, v_threshold=higher))
    populations = {**image.program.populations, "n": changed}
    found = attribute(retimed, replace(image.program, populations=populations), data)
    assert found["rows"][0]["cause"] == "threshold"
    assert {row["cause"] for row in found["rows"]} <= {"threshold", "decay_v", "state"}


def analog_relay():
    """Leaky neurons, a leaky integrator that sends its v, and leaky neurons behind it."""
    rng, one = np.random.default_rng(4), np.ones(6)
    nodes = {
        "in": Input((6,)),
        "a": Linear(rng.normal(0.3, 0.4, (6, 6))),
        "li": Li(1e-3 * one, 5 * one, 0 * one),
        "b": Linear(rng.normal(0.3, 0.4, (6, 6))),
        "lif": leaky(6),
        "out": Output((6,)),
    }
    names = list(nodes)
    contract = apply_settings(preset("nir"), ["dt=1e-4"])
    return Network(nodes, tuple(pairwise(names)), contract, name="analog")


def test_populations_that_send_messages_are_taken_apart():
    x = (np.random.default_rng(5).random((6, 60, 6)) < 0.4).astype(np.uint8)
    retimed, image, data = lowered(analog_relay(), x, "generic_graded")
    floats = dequantized(in_one_shape(retimed, image.program), image.program)
    there = emulator.run(image, data.inputs)
    assert cells_between(reference.run(floats, data.inputs), there) <= 5
    weights = next(each for each in image.program.synapses if each.name == "b")
    coarse = weights.with_mantissa((weights.mantissa // 64 * 64).astype(np.int32))
    synapses = tuple(coarse if each is weights else each for each in image.program.synapses)
    rows = attribute(retimed, replace(image.program, synapses=synapses), data)["rows"]
    assert (rows[0]["cause"], rows[0]["object"]) == ("weights", "b")


def test_an_output_of_voltages_is_decoded_in_the_networks_units():
    """Levels that differ per neuron decide the class; the chip measures v from them."""
    rng, three = np.random.default_rng(2), np.ones(3)
    x = rng.integers(0, 2, (60, 30, 8)).astype(np.uint8)
    level = np.array([-5.0, 0.0, 0.5])
    neuron = Lif(5e-3 * three, 50 * three, 0 * three, 1.5 * three, level)
    net = network(neuron, rng.normal(0, 0.4, (3, 8)))
    labels = sp.run(net, x, probe=["n.v"]).probes["n.v"].mean(axis=1).argmax(axis=1)
    found = sp.deploy(
        net, data={"x": x, "labels": labels}, decode="mem_mean", backends_wanted=["emulator"]
    )
    table = sp.attribute(net, sp.compile(net, calibration=x), x, labels, "mem_mean", samples=60)
    assert table["accuracy"] == [found["accuracy"][side] for side in ("reference", "emulator")]
    assert table["accuracy"][0] == 1.0


def test_other_cells_say_why_they_are_not_taken_apart():
    rng = np.random.default_rng(0)
    nodes = {"in": Input((4,)), "w": Linear(rng.normal(0.3, 0.4, (8, 4))), "n": leaky(8)}
    nodes |= {"v": Linear(rng.normal(0.3, 0.4, (3, 8))), "o": leaky(3), "out": Output((3,))}
    contract = apply_settings(preset("nir"), ["dt=1e-4", "reset=subtract", "spike=count"])
    net = Network(nodes, tuple(pairwise(nodes)), contract, name="small")
    x = (rng.random((2, 40, 4)) < 0.4).astype(np.uint8)
    table = sp.deploy(net, "xylo_audio2", data=x, backends_wanted=["emulator"])["attribution"]
    assert table["rows"] == []
    assert "cannot be replaced part by part" in table["note"]


def test_a_processor_and_a_slow_chip_say_why_they_are_not_taken_apart():
    net, x = lossy()
    fast = sp.deploy(net, "cpu_i7_4960x", data=x[:2], backends_wanted=["emulator"])
    assert fast["attribution"]["note"] == "a processor runs the float network as it is"
    slow = sp.deploy(net, "generic_graded", data=x[:2], slow=2, backends_wanted=["emulator"])
    assert "--slow" in slow["attribution"]["note"]


def test_a_program_alone_does_not_know_its_chip():
    net, x = lossy()
    with pytest.raises(LoweringError, match="which chip") as caught:
        sp.attribute(net, sp.compile(net, calibration=x).program, x)
    assert "sp.compile" in caught.value.fix


def test_both_reports_show_the_table_and_escape_its_names():
    net, x = lossy()
    result = sp.deploy(net, data=x, backends_wanted=["emulator"])
    rows = [{**row, "object": "<b>|fc"} for row in result["attribution"]["rows"]]
    result["attribution"]["rows"] = rows
    html, text = page(result), summary(result)
    assert "What was lost, and to what" in html
    assert "&lt;b&gt;|fc" in html
    assert "<b>|fc" not in html
    assert "## What was lost, and to what" in text
    assert "&lt;b&gt;\\|fc" in text
    result["attribution"] = {"rows": [], "note": "every cell is as in the reference"}
    assert "Every cell is as in the reference." in page(result)
    assert "to what" not in summary(result)


def test_seeded_faults_are_ranked_first_and_named():
    """See hw_tests/seeded_faults.py for what a trial is; the long run takes a thousand."""
    found = [trial for trial in trials(110) if trial is not None]
    largest = [trial for trial in found if trial.largest]
    asked = [trial for trial in found if trial.named]
    assert len(largest) >= 70 <= len(asked) + 20
    first, named = (sum(t.found for t in largest), sum(t.told for t in asked))
    assert first >= 0.9 * len(largest), table(found)
    assert named >= 0.9 * len(asked), table(found)
