"""The shipped chips: every figure says where it is from, and is what the fact sheets say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from spikeport.backends import chip_names, find_chip
from spikeport.compiler.cost_column import Points
from spikeport.compiler.figure import Fact, Figure, Range, Row

LEVELS = {
    "akida_akd1000": "rules",
    "arm_cortex_a": "estimate",
    "brainscales2": "rules",
    "cpu_i7_4960x": "estimate",
    "generic_graded": "estimate",
    "gpu_titan_black": "estimate",
    "loihi1": "oracle-equal",
    "loihi2": "oracle-equal",
    "odin": "estimate",
    "speck2f": "estimate",
    "spinnaker1": "estimate",
    "spinnaker2": "estimate",
    "truenorth": "estimate",
    "xylo_audio2": "oracle-equal",
    "xylo_audio3": "oracle-equal",
    "xylo_imu": "oracle-equal",
}

PICO, NANO, MICRO, MILLI = 1e-12, 1e-9, 1e-6, 1e-3
#: Our event kind, and what the sheet calls its energy and its time.
DAVIES = (
    ("soma_access", "neuron_update_inactive", "neuron_update_inactive"),
    ("synaptic_op", "synaptic_spike_op_min", "synaptic_spike_op_max"),
    ("packet", "within_tile_spike", "within_tile_spike"),
    ("hop_east_west", "hop_EW", "hop_EW"),
    ("hop_north_south", "hop_NS", "hop_NS"),
)
SANAFE = (
    ("soma_access", "neuron_access"),
    ("soma_update", "neuron_update"),
    ("spike_out", "spike_out"),
    ("synaptic_op", "synapse_dense"),
    ("synaptic_op_sparse", "synapse_sparse"),
    ("packet", "axon_out"),
    ("packet_in", "axon_in"),
    ("hop_east_west", "hop_EW"),
    ("hop_north_south", "hop_NS"),
)


def of_loihi() -> Iterator[tuple[str, str, str, str, float]]:
    """Yield what `SAME` says of the energies and times of loihi1's columns."""
    for ours, energy, time in (*DAVIES, *((ours, its, its) for ours, its in SANAFE)):
        sheet = "davies_table2" if (ours, energy, time) in DAVIES else "sanafe_calibrated"
        column = "davies2018" if sheet == "davies_table2" else "sanafe"
        at = f"energy_time.{sheet}"
        yield "loihi1", f"costs.{column}.figures.{ours}", "loihi1", f"{at}/{energy}_pJ", PICO
        yield "loihi1", f"costs.{column}.time.figures.{ours}", "loihi1", f"{at}/{time}_ns", NANO


#: chip, where in ours, file of the fact sheets, where in it, its unit in ours.
SAME = [
    ("loihi1", "core.compartments", "loihi1", "core.neurons", 1),
    ("loihi1", "core.synaptic_memory_bits", "loihi1", "core.synaptic_memory_bits", 1),
    ("loihi1", "core.in_axons", "loihi1", "core.in_axons", 1),
    ("loihi1", "core.out_axons", "loihi1", "core.out_axons", 1),
    ("loihi1", "core.compartment_configs", "loihi1", "core.compartment_configs", 1),
    ("loihi1", "core.threshold_configs", "loihi1", "core.threshold_configs", 1),
    ("loihi1", "limits.threshold_mantissa", "loihi1", "neuron.threshold_mantissa", 1),
    ("loihi1", "limits.bias_mantissa", "loihi1", "neuron.bias_mantissa", 1),
    ("loihi1", "limits.bias_exponent", "loihi1", "neuron.bias_exponent", 1),
    ("loihi1", "limits.refractory_steps", "loihi1", "neuron.refractory", 1),
    ("loihi1", "limits.weight_exponent", "loihi1", "synapse.weight_exp", 1),
    ("loihi1", "static_power", "loihi1", "energy_time.static_mW_per_chip", MILLI),
    *of_loihi(),
    ("loihi2", "cores", "loihi2", "topology.cores", 1),
    ("loihi2", "core.compartments", "loihi2", "core.neurons", 1),
    ("loihi2", "core.synaptic_memory_bits", "loihi2", "core.memory_bytes", 8),
    ("loihi2", "limits.weight_bits", "loihi2", "synapse.weight_bits", 1),
    ("loihi2", "limits.state_bits", "loihi2", "neuron.state_bits", 1),
    ("loihi2", "core.delay_bits", "loihi2", "synapse.delay_bits", 1),
    ("loihi2", "facts.cores_on_die", "loihi2", "topology.cores_on_die", 1),
    ("loihi2", "facts.x86", "loihi2", "topology.x86", 1),
    ("loihi2", "facts.max_neurons", "loihi2", "topology.max_neurons", 1),
    ("loihi2", "facts.max_synapses", "loihi2", "topology.max_synapses", 1),
    ("loihi2", "facts.die", "loihi2", "topology.die_mm2", 1),
    ("loihi2", "facts.neuron_state", "loihi2", "core.neuron_state_bytes", 1),
    ("loihi2", "facts.spike_payload", "loihi2", "neuron.spike_payload_bits_max", 1),
    ("loihi2", "facts.conv_sharing", "loihi2", "synapse.conv_sharing", 1),
    ("truenorth", "cores", "truenorth", "topology.cores", 1),
    ("truenorth", "core.neurons", "truenorth", "core.neurons", 1),
    ("truenorth", "core.axons", "truenorth", "core.axons", 1),
    ("truenorth", "core.axon_types", "truenorth", "synapse.axon_types", 1),
    ("truenorth", "core.type_weight_bits", "truenorth", "synapse.weight_bits_per_type", 1),
    ("truenorth", "limits.weight_bits", "truenorth", "synapse.weight_bits_per_type", 1),
    ("truenorth", "limits.state_bits", "truenorth", "neuron.potential_bits", 1),
    ("truenorth", "limits.delay_steps", "truenorth", "synapse.delay_ticks", 1),
    ("truenorth", "facts.reach_cores", "truenorth", "topology.reach_cores", 1),
    ("truenorth", "facts.packet", "truenorth", "topology.packet_bits", 1),
    ("truenorth", "facts.crossbar", "truenorth", "core.crossbar_bits", 1),
    ("truenorth", "facts.core_memory", "truenorth", "core.sram_bits", 1),
    ("truenorth", "facts.fan_in", "truenorth", "synapse.fan_in_max", 1),
    ("truenorth", "facts.hop", "truenorth", "energy_time.hop_pJ_per_spike", PICO),
    ("truenorth", "facts.bit_hop", "truenorth", "energy_time.bit_hop_fJ", 1e-15),
    (
        "truenorth",
        "facts.average_per_synaptic_event",
        "truenorth",
        "energy_time.aggregate_pJ_per_synaptic_event",
        PICO,
    ),
    (
        "truenorth",
        "costs.akopyan2015.figures.synaptic_op",
        "truenorth",
        "energy_time.affine_model_0V8/pJ_per_event",
        PICO,
    ),
    ("truenorth", "static_power", "truenorth", "energy_time.affine_model_0V8/static_mW", MILLI),
    ("odin", "core.neurons", "odin", "core.neurons", 1),
    ("odin", "facts.synapses", "odin", "core.synapses", 1),
    ("odin", "facts.synapse_bits", "odin", "core.synapse_bits", 1),
    ("odin", "costs.frenkel2019.figures.crossbar_op", "odin", "energy_time.E_SOP_pJ", PICO),
    ("odin", "facts.average_per_synaptic_op", "odin", "energy_time.E_total_SOP_pJ", PICO),
    ("odin", "facts.leakage_power", "odin", "energy_time.P_leak_uW", MICRO),
    ("odin", "facts.idle_power_per_mhz", "odin", "energy_time.P_idle_uW_per_MHz", MICRO),
    ("odin", "costs.frenkel2019.time.clock", "odin", "energy_time.f_clk_MHz", 1e6),
    ("brainscales2", "facts.neurons", "brainscales2", "topology.neurons", 1),
    ("brainscales2", "facts.synapses", "brainscales2", "topology.synapses", 1),
    ("brainscales2", "facts.weight", "brainscales2", "synapse.weight_bits", 1),
    ("brainscales2", "facts.cadc", "brainscales2", "neuron.cadc_bits", 1),
    ("brainscales2", "facts.speedup", "brainscales2", "speedup", 1),
    ("brainscales2", "facts.power", "brainscales2", "power_W", 1),
    ("speck2f", "cores", "speck2f", "topology.cores", 1),
    ("speck2f", "core.destinations", "speck2f", "topology.destinations_per_core", 1),
    ("speck2f", "core.kernel_entries", "speck2f", "core.kernel_entries", 1),
    ("speck2f", "core.neuron_entries", "speck2f", "core.neuron_entries", 1),
    ("speck2f", "core.channels", "speck2f", "layer.max_channels", 1),
    ("speck2f", "core.kernel", "speck2f", "layer.max_kernel", 1),
    ("speck2f", "core.stride", "speck2f", "layer.stride", 1),
    ("speck2f", "core.pooling", "speck2f", "layer.pooling", 1),
    ("speck2f", "limits.weight_bits", "speck2f", "synapse.weight_bits", 1),
    ("speck2f", "limits.state_bits", "speck2f", "neuron.state_bits", 1),
    ("speck2f", "facts.decimator", "speck2f", "decimator", 1),
    ("xylo_audio2", "core.inputs", "xylo_audio2", "limits.inputs", 1),
    ("xylo_audio2", "core.hidden", "xylo_audio2", "limits.hidden", 1),
    ("xylo_audio2", "core.outputs", "xylo_audio2", "limits.outputs", 1),
    ("xylo_audio2", "core.layers", "xylo_audio2", "limits.min_neuron_layers", 1),
    (
        "xylo_audio2",
        "core.synapses_per_neuron",
        "xylo_audio2",
        "limits.synapse_kinds_per_hidden",
        1,
    ),
    ("xylo_audio2", "limits.weight_bits", "xylo_audio2", "numerics.weight_bits", 1),
    ("xylo_audio2", "limits.state_bits", "xylo_audio2", "numerics.state_bits", 1),
    (
        "xylo_audio2",
        "facts.hidden_spikes_per_step",
        "xylo_audio2",
        "numerics.hidden_spikes_per_step_max",
        1,
    ),
    ("xylo_audio2", "facts.cycles_input", "xylo_audio2", "cycles.input", 1),
    ("xylo_audio2", "facts.cycles_output_fixed", "xylo_audio2", "cycles.output_fixed", 1),
    ("xylo_audio3", "core.inputs", "xylo_audio3", "limits.inputs", 1),
    ("xylo_audio3", "core.hidden", "xylo_audio3", "limits.hidden", 1),
    ("xylo_audio3", "core.outputs", "xylo_audio3", "limits.outputs", 1),
    ("xylo_audio3", "core.input_expansion", "xylo_audio3", "limits.input_expansion_neurons", 1),
    ("xylo_audio3", "core.output_expansion", "xylo_audio3", "limits.output_expansion_neurons", 1),
    ("xylo_imu", "core.hidden", "xylo_imu", "limits.hidden", 1),
    ("xylo_imu", "core.outputs", "xylo_imu", "limits.outputs", 1),
    ("akida_akd1000", "cores", "akida_akd1000", "topology.nps", 1),
    ("akida_akd1000", "core.weight_bytes", "akida_akd1000", "core.np_weight_sram_bytes", 1),
    ("akida_akd1000", "core.input_bytes", "akida_akd1000", "core.np_input_sram_bytes", 1),
    ("akida_akd1000", "facts.weight_bits_allowed", "akida_akd1000", "synapse.weight_bits", 1),
    ("akida_akd1000", "facts.activation_bits", "akida_akd1000", "activation_bits", 1),
    ("spinnaker1", "facts.cores", "spinnaker1", "topology.cores", 1),
    ("spinnaker1", "topology.chips", "spinnaker1", "topology.chips_per_board", 1),
    ("spinnaker1", "core.compartments", "spinnaker1", "core.neurons_default", 1),
    ("spinnaker1", "core.synapse_bits", "spinnaker1", "synapse.word_bits", 1),
    ("spinnaker1", "limits.delay_steps", "spinnaker1", "synapse.delay_steps", 1),
    ("spinnaker1", "facts.router_entries", "spinnaker1", "topology.router_entries", 1),
    ("spinnaker1", "facts.shared_sdram", "spinnaker1", "core.shared_sdram_bytes", 1),
    (
        "spinnaker1",
        "costs.hoeppner2019.figures.synaptic_op",
        "spinnaker1",
        "energy_time.synop_nJ",
        NANO,
    ),
    (
        "spinnaker1",
        "costs.hoeppner2019.figures.soma_access",
        "spinnaker1",
        "energy_time.neuron_update_nJ",
        NANO,
    ),
    ("spinnaker2", "cores", "spinnaker2", "topology.pes_usable", 1),
    ("spinnaker2", "facts.pes", "spinnaker2", "topology.pes", 1),
    ("spinnaker2", "facts.router_entries", "spinnaker2", "topology.router_entries", 1),
    ("spinnaker2", "facts.sram", "spinnaker2", "core.sram_bytes", 1),
    ("spinnaker2", "core.compartments", "spinnaker2", "core.neurons_per_pe_lif", 1),
    ("spinnaker2", "facts.weight_range", "spinnaker2", "synapse.weight_range", 1),
    ("spinnaker2", "facts.delays", "spinnaker2", "synapse.delay_steps", 1),
    (
        "spinnaker2",
        "costs.hoeppner2019.figures.synaptic_op",
        "spinnaker2",
        "energy_time.synop_pJ",
        PICO,
    ),
    (
        "spinnaker2",
        "costs.hoeppner2019.figures.soma_access",
        "spinnaker2",
        "energy_time.neuron_update_nJ",
        NANO,
    ),
    *(
        (chip, f"costs.degnan2016.figures.{ours}", "baselines", f"keras_spiking/{device}/{its}", 1)
        for chip, device in (
            ("cpu_i7_4960x", "cpu"),
            ("gpu_titan_black", "gpu"),
            ("arm_cortex_a", "arm"),
        )
        for ours, its in (("soma_access", "neuron_J"), ("dense_synaptic_op", "synop_J"))
    ),
    *(
        ("cpu_i7_4960x", f"facts.horowitz_{ours}", "baselines", f"horowitz_45nm_0V9/{its}", PICO)
        for ours, its in (
            ("int8_add", "int8_add_pJ"),
            ("int32_add", "int32_add_pJ"),
            ("fp16_add", "fp16_add_pJ"),
            ("fp32_add", "fp32_add_pJ"),
            ("int8_mult", "int8_mult_pJ"),
            ("int32_mult", "int32_mult_pJ"),
            ("fp16_mult", "fp16_mult_pJ"),
            ("fp32_mult", "fp32_mult_pJ"),
            ("sram_8kb_64b", "sram_8KB_64b_pJ"),
            ("sram_32kb_64b", "sram_32KB_64b_pJ"),
            ("sram_1mb_64b", "sram_1MB_64b_pJ"),
            ("dram_64b", "dram_64b_pJ"),
        )
    ),
]


def stated(value: Any) -> Iterator[Figure | Range | Row | Fact | Points]:
    """Yield everything of a chip that has a source."""
    if isinstance(value, Figure | Range | Row | Fact | Points):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from stated(each)
    elif isinstance(value, BaseModel):
        for _, each in value:
            yield from stated(each)


def ours(chip: str, path: str) -> list[Any]:
    """Return what a chip states at a dotted path, as a list."""
    here: Any = find_chip(chip)
    for name in path.split("."):
        here = here[name] if isinstance(here, Mapping) else getattr(here, name)
    if isinstance(here, Range):
        return [here.low, here.high]
    value = here.values if isinstance(here, Row) else getattr(here, "value", here)
    return list(value) if isinstance(value, tuple) else [value]


def theirs(sheets: Any, sheet: str, path: str) -> list[Any]:
    """Return what a fact sheet says: a dotted path to a `value`, and behind / what is in it."""
    here = YAML(typ="safe").load((sheets / f"{sheet}.yaml").read_text(encoding="utf8"))
    place, *inside = path.split("/")
    for name in place.split("."):
        here = here[name]
    here = here["value"]
    for name in inside:
        here = here[name]
    return here if isinstance(here, list) else [here]


def test_the_library_holds_these_chips_and_says_how_far_each_is_to_be_trusted():
    assert {name: find_chip(name).level for name in chip_names()} == LEVELS


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_every_figure_has_a_source_and_a_basis_and_none_is_from_memory_unmarked(name):
    figures = list(stated(find_chip(name)))
    assert figures
    for figure in figures:
        assert len(figure.source) > 10
        assert figure.basis != "memory"
        assert ("recalled" in figure.source) <= (figure.basis == "unverified")


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_nothing_unverified_is_in_a_total(name):
    chip = find_chip(name)
    priced = [*stated(chip.costs), *stated(chip.static_power)]
    assert "unverified" not in {figure.basis for figure in priced}


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_the_notes_say_in_sentences_what_the_description_leaves_out(name):
    notes = find_chip(name).notes
    assert notes
    assert all(note.endswith(".") and len(note) > 20 for note in notes)


@pytest.mark.parametrize(
    ("chip", "path", "sheet", "place", "unit"), SAME, ids=[f"{c}-{p}" for c, p, *_ in SAME]
)
def test_a_figure_is_what_the_fact_sheets_say(shared, chip, path, sheet, place, unit):
    expected = theirs(shared / "chips", sheet, place)
    found = ours(chip, path)
    if unit == 1:
        assert found == expected
    else:
        assert found == pytest.approx([value * unit for value in expected], rel=1e-12, abs=0)


def test_truenorth_charges_the_marginal_event_and_not_the_average_with_its_static_power():
    chip = find_chip("truenorth")
    charged = chip.costs[chip.default_cost].figures
    assert set(charged) == {"synaptic_op"}  # the fit holds the hops of its networks
    assert charged["synaptic_op"].value < 0.1 * chip.facts["average_per_synaptic_event"].value
    assert chip.static_power.value == 0.06443


def test_the_static_power_of_odin_is_leakage_and_idle_power_at_its_clock():
    chip = find_chip("odin")
    leakage, idle = (chip.facts[name].value for name in ("leakage_power", "idle_power_per_mhz"))
    clock = chip.costs["frenkel2019"].time.clock.value / 1e6
    assert chip.static_power.value == pytest.approx(leakage + idle * clock, rel=1e-12, abs=0)


def test_loihi2_has_no_limits_and_no_costs_that_nobody_published():
    chip = find_chip("loihi2")
    assert (chip.core.in_axons, chip.core.out_axons) == (None, None)
    assert not chip.costs
    assert chip.static_power is None


def test_a_baseline_pays_for_every_synapse_in_every_step():
    for name in ("cpu_i7_4960x", "gpu_titan_black", "arm_cortex_a"):
        chip = find_chip(name)
        assert chip.core.fabric == "processor"
        assert set(chip.costs["degnan2016"].figures) == {"soma_access", "dense_synaptic_op"}
