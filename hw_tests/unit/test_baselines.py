"""Conventional baselines: op counts times figures of chip files, and what is not comparable."""

from __future__ import annotations

import json
import shutil

import pytest

from spikeport import backends, baselines
from spikeport.compiler.errors import ChipError
from spikeport.compiler.figure import Fact

COUNTS = {"SynapticOperations": {"Dense": 1e6, "Effective_MACs": 1e3, "Effective_ACs": 2e4}}


def row(found, name, counts):
    (only,) = [r for r in found["rows"] if (r["name"], r["counts"]) == (name, counts)]
    return only


@pytest.fixture
def edit(tmp_path, monkeypatch):
    """A function that changes the file of the CPU in a copy of the chip library."""
    library = tmp_path / "chips"
    shutil.copytree(backends.CHIPS, library)
    monkeypatch.setattr(backends, "CHIPS", library)

    def change(fact: str, old: str, new: str) -> None:
        path = library / "cpu_i7_4960x.yaml"
        before, name, rest = path.read_text().partition(f"  {fact}:\n")
        assert name
        assert old in rest
        path.write_text(before + name + rest.replace(old, new, 1))

    return change


def with_process(name, process, basis="quoted"):
    chip = backends.find_chip(name)
    fact = Fact(value=process, source="invented for tests", basis=basis)
    return chip.model_copy(update={"facts": {**chip.facts, "process": fact}})


@pytest.mark.parametrize(
    ("name", "counts", "joules"),
    [
        ("cpu_i7_4960x", "dense", 1e6 * 8.6e-9),
        ("gpu_titan_black", "dense", 1e6 * 0.3e-9),
        ("arm_cortex_a", "dense", 1e6 * 0.9e-9),
        ("horowitz_fp32", "dense", 1e6 * 4.6e-12),
        ("horowitz_fp32", "effective", 1e3 * 4.6e-12 + 2e4 * 0.9e-12),
        ("horowitz_int8", "dense", 1e6 * 0.23e-12),
        ("horowitz_int8", "effective", 1e3 * 0.23e-12 + 2e4 * 0.03e-12),
    ],
)
def test_a_row_is_operations_times_energy(name, counts, joules):
    found = baselines.baselines(COUNTS)
    told = row(found, name, counts)
    assert told["joules_per_sample"] == pytest.approx(joules, rel=1e-12)
    assert told["operations"] == (1e6 if counts == "dense" else 2.1e4)
    each = told["joules_per_operation"] * told["operations"]
    assert each == pytest.approx(joules, rel=1e-12)
    assert len(found["rows"]) == 7


def test_operations_are_those_of_neurobench():
    assert baselines.baselines(COUNTS)["operations"] == {
        "dense": 1e6, "effective_macs": 1e3, "effective_acs": 2e4,
    }  # fmt: skip


def test_a_processor_has_the_interval_of_its_column_and_horowitz_none():
    found = baselines.baselines(COUNTS)
    cpu = row(found, "cpu_i7_4960x", "dense")
    assert cpu["interval"] == pytest.approx([0.0, 2 * cpu["joules_per_sample"]])
    assert row(found, "horowitz_fp32", "effective")["interval"] is None
    assert "No uncertainty is published for Horowitz" in " ".join(found["caveats"])


def test_every_row_names_its_source_and_basis():
    for told in baselines.baselines(COUNTS)["rows"]:
        whose = "Horowitz, ISSCC 2014" if "horowitz" in told["name"] else "keras-spiking"
        assert whose in told["source"]
        assert told["basis"] in ("code", "derived")


def test_figures_are_read_from_the_chip_files(edit):
    before = row(baselines.baselines(COUNTS), "horowitz_fp32", "dense")
    edit("horowitz_fp32_mac", "4.6e-12", "46.0e-12")
    after = row(baselines.baselines(COUNTS), "horowitz_fp32", "dense")
    assert after["joules_per_sample"] == pytest.approx(10 * before["joules_per_sample"])


def test_a_figure_without_a_source_makes_no_row(edit):
    edit("horowitz_int8_add", "basis: page", "basis: unverified")
    names = {told["name"] for told in baselines.baselines(COUNTS)["rows"]}
    assert names == {*baselines.PROCESSORS, "horowitz_fp32"}


def test_a_fact_in_another_unit_is_refused(edit):
    edit("horowitz_fp32_mac", "unit: J", "unit: pJ")
    with pytest.raises(ChipError, match="pJ is no energy"):
        baselines.baselines(COUNTS)


def test_no_operations_take_no_energy():
    nothing = {"SynapticOperations": dict.fromkeys(("Dense", "Effective_MACs", "Effective_ACs"), 0)}
    for told in baselines.baselines(nothing)["rows"]:
        assert told["joules_per_sample"] == 0
        assert told["joules_per_operation"] is None


def test_the_result_is_plain_and_names_its_caveats():
    found = baselines.baselines(COUNTS)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    said = " ".join(found["caveats"])
    for word in ("no memory traffic", "no idle power", "45 nm", "Not comparable", "batches",
                 "Neuron updates", "very rough", "1.3 to 2.6"):  # fmt: skip
        assert word in said


# ---- what may be put side by side


def test_a_chip_is_comparable_with_itself():
    chip = with_process("truenorth", "28 nm")
    assert baselines.comparable(chip, chip) == ""
    without = chip.model_copy(update={"facts": {}})
    assert baselines.comparable(without, without) == ""


def test_two_columns_of_one_chip_differ_where_one_was_simulated():
    chip = with_process("loihi1", "14 nm")
    said = baselines.comparable(chip, chip, "davies2018", "sanafe")
    assert said == "not comparable: figures of loihi1 (davies2018) are simulated"


def test_different_processes_are_named():
    said = baselines.comparable(
        with_process("truenorth", "28 nm"), with_process("odin", "28 nm SOI")
    )
    assert "truenorth in 28 nm and odin in 28 nm SOI are other processes" in said


def test_one_process_measured_on_both_sides_is_comparable():
    chips = with_process("truenorth", "28 nm"), with_process("odin", "28 nm")
    assert baselines.comparable(*chips) == ""


def test_a_process_that_nobody_saw_is_not_known():
    chips = with_process("truenorth", "28 nm"), with_process("odin", "28 nm", "unverified")
    assert baselines.comparable(*chips) == "not comparable: the process of odin is not known"


def test_static_power_of_one_side_alone_is_said():
    chips = with_process("truenorth", "28 nm"), with_process("odin", "28 nm")
    dynamic = chips[1].model_copy(update={"static_power": None})
    assert baselines.comparable(chips[0], dynamic) == (
        "not comparable: static power is known of truenorth and not of odin"
    )


def test_an_energy_that_is_not_known_is_not_comparable():
    chips = with_process("truenorth", "28 nm"), with_process("speck2f", "65 nm")
    assert baselines.comparable(*chips) == "not comparable: what speck2f takes is not known"


def test_two_simulated_columns_do_not_differ_by_that():
    chips = with_process("loihi1", "14 nm"), with_process("generic_graded", "14 nm")
    assert baselines.comparable(*chips) == ""
