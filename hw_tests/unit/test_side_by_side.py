"""One network on several chips: a row for each, one page, and what the command answers."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest
from scipy import sparse

import spikeport as sp
from spikeport import backends, processor
from spikeport.cli import main
from spikeport.compiler.errors import ChipError, DataError, LoweringError
from spikeport.compiler.network import Input, Linear, Network, Output
from spikeport.compiler.pipeline import to_clocked
from spikeport.fit import unpublished
from spikeport.models.neurons.izhikevich import Izhikevich
from spikeport.models.neurons.li import Li
from spikeport.models.neurons.lif import Lif
from spikeport.pages import side_by_side as page
from spikeport.pages.plain import finite
from spikeport.pages.units import NONE, si
from spikeport.side_by_side import are_several, chips_named, deploy_side_by_side

DEMO = Path(__file__).resolve().parents[2] / "spikeport" / "demo"
LOIHI = backends.find_chip("loihi1")
TWO = "loihi1,generic_graded"


def small_of(name: str, **core: int) -> Any:
    """Return loihi1 under another name, with other figures of its cores."""
    figures = {
        key: getattr(LOIHI.core, key).model_copy(update={"value": value})
        for key, value in core.items()
    }
    topology = LOIHI.topology.model_copy(
        update={
            "cores_per_tile": LOIHI.topology.cores_per_tile.model_copy(update={"value": 1}),
            "tiles_x": LOIHI.topology.tiles_x.model_copy(update={"value": 1}),
            "tiles_y": LOIHI.topology.tiles_y.model_copy(update={"value": 1}),
        }
    )
    core_ = LOIHI.core.model_copy(update=figures)
    return LOIHI.model_copy(update={"name": name, "core": core_, "topology": topology})


@pytest.fixture(scope="module")
def net():
    return sp.load(DEMO / "digits.nir", dialect="snntorch", dt=1e-4)


@pytest.fixture(scope="module")
def data():
    held = np.load(DEMO / "digits.npz")
    return {"x": held["x"][:12], "labels": held["labels"][:12]}


@pytest.fixture(scope="module")
def found(net, data, tmp_path_factory):
    """Chips that run, one that is limits alone, one that is too small, one without a cost."""
    out = tmp_path_factory.mktemp("several") / "out"
    chips = [
        LOIHI,
        backends.find_chip("generic_graded"),
        backends.find_chip("akida_akd1000"),
        small_of("tiny", compartments=8),
        LOIHI.model_copy(update={"name": "free", "costs": {}, "default_cost": ""}),
        backends.find_chip("cpu_i7_4960x"),
    ]
    result = deploy_side_by_side(net, chips, data, out, backends_wanted=["emulator"])
    return result, out


def row_of(result: dict[str, Any], chip: str) -> dict[str, Any]:
    return next(row for row in result["chips"] if row["chip"] == chip)


def test_rows_are_what_deploy_says_of_each_chip_alone(found, net, data):
    result, _ = found
    for name in ("loihi1", "generic_graded"):
        alone = sp.deploy(net, name, data, backends_wanted=["emulator"])
        row = row_of(result, name)
        assert row["accuracy"]["emulator"] == alone["accuracy"]["emulator"]
        assert row["accuracy"]["reference"] == alone["accuracy"]["reference"]
        assert row["resources"] == alone["resources"]
        assert row["latency_steps"] == alone["latency_steps"]
        assert row["energy"]["joules_per_sample"] == alone["energy"]["joules_per_sample"]
        against = alone["parity"]["emulator_vs_reference"]
        assert {key: row["parity"][key] for key in ("cells", "different")} == {
            key: against[key] for key in ("cells", "different")
        }


def test_the_reference_runs_once(net, data, monkeypatch):
    """Its progress is told once from its first to its last step, however many chips follow."""
    told: list[tuple[str, int]] = []
    deploy_side_by_side(
        net, f"{TWO},cpu_i7_4960x", data, backends_wanted=["emulator"],
        progress=lambda what, done, total: told.append((what, done)),
    )  # fmt: skip
    steps = data["x"].shape[1]
    assert [done for what, done in told if what == "reference"] == list(range(1, steps + 1))
    assert {what for what, _ in told} == {
        "reference", "loihi1: emulator", "generic_graded: emulator",
    }  # fmt: skip


def test_a_chip_that_is_too_small_is_a_row_with_every_reason(found):
    row = row_of(found[0], "tiny")
    assert not row["fits"]
    assert not row["ran"]
    assert row["details"][0]["figure"] > row["details"][0]["limit"] == 1
    assert row["details"][0]["what"] == "cores"
    assert page.takes(row).startswith("no: ")
    assert row["report"] is None


def test_a_chip_of_rules_is_checked_and_not_run(found):
    row = row_of(found[0], "akida_akd1000")
    assert (row["level"], row["ran"]) == ("rules", False)
    assert any("LIF" in reason for reason in row["violations"])


def test_a_chip_of_rules_that_fits_says_limits_only(net, data):
    wide = LOIHI.model_copy(update={"name": "paper", "level": "rules", "arithmetic": "none"})
    result = deploy_side_by_side(net, [wide], data)
    (row,) = result["chips"]
    assert row["fits"]
    assert page.takes(row) == "yes (not run: limits only)"
    assert not result["reference"]["ran"], "nothing is to be run, so nothing is"


def test_energy_is_unknown_where_nothing_is_published(found):
    row = row_of(found[0], "free")
    assert row["energy"]["known"] is False
    assert row["energy"]["why"] == "no energy per event has been published for free"
    assert page.energy_words(row) == "unknown"
    assert row["accuracy"] == row_of(found[0], "loihi1")["accuracy"]


def test_a_processor_has_the_accuracy_of_the_reference_and_an_op_count(found, net, data):
    row = row_of(found[0], "cpu_i7_4960x")
    assert row["accuracy"]["emulator"] == row["accuracy"]["reference"]
    assert row["parity"]["different"] == 0
    assert row["latency_steps"] == 0
    clocked = to_clocked(net)
    weights = sum(int(np.count_nonzero(_dense(p.matrix))) for p in clocked.projections)
    neurons = sum(clocked.populations[name].size for name in clocked.neurons)
    each = backends.find_chip("cpu_i7_4960x").costs["degnan2016"].figures
    expected = data["x"].shape[1] * (
        weights * each["dense_synaptic_op"].value + neurons * each["soma_access"].value
    )
    assert row["energy"]["joules_per_sample"] == pytest.approx(expected)
    report = json.loads((found[1] / "cpu_i7_4960x" / "report.json").read_text())
    assert processor.NOTE in report["notes"]
    assert report["backends"]["lava"]["why"] == processor.WHY_NO_LAVA


def test_on_a_processor_zeros_that_are_stored_are_no_weights(net):
    clocked = to_clocked(net)
    first, *others = clocked.projections
    stored = sparse.csr_array(first.matrix)
    stored.data[:5] = 0.0
    changed = replace(clocked, projections=(replace(first, matrix=stored), *others))
    cpu = backends.find_chip("cpu_i7_4960x")
    whole, fewer = (processor.on_processor(each, cpu) for each in (clocked, changed))
    lost = np.count_nonzero(sparse.csr_array(first.matrix).data[:5])
    assert lost > 0
    assert fewer.resources["synapses"] == whole.resources["synapses"] - lost


def test_a_processor_takes_what_sends_values_and_counts_them_in_every_step():
    one = np.ones(2)
    nodes = {
        "in": Input((2,)), "fc": Linear(np.eye(2)), "li": Li(0.05 * one, one, 0 * one),
        "fc2": Linear(np.eye(2)), "lif": Lif(0.01 * one, 10 * one, 0 * one, one, 0 * one),
        "out": Output((2,)),
    }  # fmt: skip
    said = sp.Semantics(dt=1e-3, dialect="nir")
    net = Network(nodes, tuple(pairwise(nodes)), name="analog").with_semantics(said)
    result = sp.deploy(net, "cpu_i7_4960x", {"x": np.ones((3, 7, 2), np.uint8)})
    operations = result["neurobench"]["SynapticOperations"]
    assert operations["Effective_MACs"] == 2 * 7
    assert operations["Effective_ACs"] == 2 * 7


def _dense(matrix: Any) -> np.ndarray:
    return matrix.toarray() if hasattr(matrix, "toarray") else matrix


def test_the_folder_has_an_index_and_a_report_of_each_chip_that_ran(found):
    result, out = found
    assert sorted(path.name for path in out.iterdir()) == [
        "cpu_i7_4960x", "free", "generic_graded", "index.html", "index.json", "index.md", "loihi1",
    ]  # fmt: skip
    text = (out / "index.html").read_text()
    for row in result["chips"]:
        assert (row["report"] is not None) == row["ran"]
        if row["ran"]:
            assert (out / row["report"]).is_file()
            assert f'href="{row["report"]}"' in text
            alone = json.loads((out / row["chip"] / "report.json").read_text())
            assert alone["chip"]["name"] == row["chip"]
    drawn = [row for row in result["chips"] if row["mesh"]]
    assert len(drawn) >= 2
    assert text.count("<title id=") == len(set(re.findall(r'<title id="([^"]+)"', text)))
    assert text.count('-mesh-title">Map of the cores') == len(drawn)
    assert "fix: " not in text or "; fix: " in text
    again = json.loads((out / "index.json").read_text())
    assert [row["chip"] for row in again["chips"]] == [row["chip"] for row in result["chips"]]
    table = [line for line in (out / "index.md").read_text().splitlines() if line[:2] == "| "]
    assert len(table) == 1 + len(result["chips"])
    assert all("|  |" not in line for line in table), "no cell is empty"


def test_names_and_reasons_are_escaped_on_the_page(net, data, tmp_path):
    nasty = '<script>"&|*'
    chips = [LOIHI.model_copy(update={"name": nasty, "title": nasty}), small_of("b", in_axons=3)]
    deploy_side_by_side(net, chips, data, tmp_path / "out", backends_wanted=["emulator"])
    text = (tmp_path / "out" / "index.html").read_text()
    assert "<script" not in text
    assert "&lt;script&gt;&#34;&amp;|*" in text
    assert "<script" not in (tmp_path / "out" / "index.md").read_text()
    folders = [path.name for path in (tmp_path / "out").iterdir() if path.is_dir()]
    assert folders == ["_script_____"]


def test_descriptions_of_one_name_have_folders_of_their_own(net, data, tmp_path):
    result = deploy_side_by_side(
        net, [LOIHI, LOIHI, LOIHI], data, tmp_path / "out", backends_wanted=["emulator"]
    )
    folders = [row["report"].split("/")[0] for row in result["chips"]]
    assert folders == ["loihi1", "loihi1.2", "loihi1.3"]
    assert all((tmp_path / "out" / name / "report.html").is_file() for name in folders)


def test_lava_is_for_those_that_have_its_arithmetic(net, data):
    chips = ["cpu_i7_4960x", "akida_akd1000"]
    with pytest.raises(DataError, match="Lava was asked for and can run none of these chips"):
        deploy_side_by_side(net, ",".join(chips), data, backends_wanted=["emulator", "lava"])
    with pytest.raises(LoweringError, match="its arithmetic is float, and Lava has none such"):
        sp.deploy(net, "cpu_i7_4960x", data, backends_wanted=["emulator", "lava"])


def test_a_neuron_that_lava_has_not_is_a_reason_and_no_refusal(lava):
    one = np.ones(1)
    cell = Izhikevich(0.02 * one, 0.2 * one, -65 * one, 8 * one, 30 * one)
    nodes = {"in": Input((1,)), "fc": Linear(10 * np.eye(1)), "n": cell, "out": Output((1,))}
    said = sp.Semantics(dt=5e-4, dialect="nir")
    net = Network(nodes, tuple(pairwise(nodes)), name="spiky").with_semantics(said)
    x = {"x": np.ones((1, 4, 1), np.uint8)}
    (row,) = deploy_side_by_side(net, "generic_graded", x)["chips"]
    assert row["ran"]
    alone = sp.deploy(net, "generic_graded", x)
    assert "Lava 0.10 has no process for this kind" in alone["backends"]["lava"]["why"]
    with pytest.raises(LoweringError, match=r"Lava 0\.10 has no process for this kind"):
        sp.deploy(net, "generic_graded", x, backends_wanted=["emulator", "lava"])


def test_a_cost_column_is_used_where_it_is_and_must_be_somewhere(net, data):
    result = deploy_side_by_side(net, TWO, data, backends_wanted=["emulator"], column="sanafe")
    assert row_of(result, "loihi1")["energy"]["column"] == "sanafe"
    assert row_of(result, "generic_graded")["energy"]["column"] == "davies2018"
    with pytest.raises(ChipError, match="none of the chips has a cost column 'guess'"):
        deploy_side_by_side(net, TWO, data, backends_wanted=["emulator"], column="guess")


def test_linked_chips_hold_what_one_cannot(net, data):
    tiny = small_of("tiny", compartments=40)
    alone = deploy_side_by_side(net, [tiny], data, backends_wanted=["emulator"])
    (row,) = alone["chips"]
    fix = row["details"][0]["fix"]
    assert fix == "--chips 4"
    linked = deploy_side_by_side(net, [tiny], data, chips=4, backends_wanted=["emulator"])
    assert linked["chips"][0]["resources"]["chips"] == 4
    assert page.cells(linked["chips"][0])["cores"].replace("\u00a0", " ") == "4 on 4 chips"


def test_a_chip_that_cannot_be_linked_is_a_row(net, data):
    result = deploy_side_by_side(
        net, "loihi1,cpu_i7_4960x", data, chips=2, backends_wanted=["emulator"]
    )
    assert row_of(result, "loihi1")["ran"]
    assert "can be linked to 1 at most" in row_of(result, "cpu_i7_4960x")["violations"][0]


def test_time_and_energy_times_delay_are_columns(found):
    cells = page.cells(row_of(found[0], "loihi1"))
    time = row_of(found[0], "loihi1")["time"]
    assert cells["time per step"].startswith(si(time["seconds_per_step"], "s") + " (")
    assert cells["time per sample"].startswith(si(time["latency"]["seconds"], "s") + " (")
    assert cells[page.DELAY].endswith("J\u00b7s), dynamic and static")
    static = row_of(found[0], "loihi1")["energy"]["static_joules_per_sample"]
    assert cells["energy per sample"].endswith(f"; static {si(static, 'J')}")
    cells = page.cells(row_of(found[0], "cpu_i7_4960x"))
    assert [cells[name] for name in ("time per step", "time per sample", page.DELAY)] == [
        "unknown", "unknown", "unknown",
    ]  # fmt: skip
    assert "static" not in cells["energy per sample"]
    cells = page.cells(row_of(found[0], "tiny"))
    assert cells["time per step"] == cells["energy per sample"] == NONE


def test_what_a_chip_that_refuses_would_take_stands_apart(net, data, tmp_path):
    result = deploy_side_by_side(
        net, "loihi1,truenorth", data, tmp_path / "out", backends_wanted=["emulator"]
    )
    row = row_of(result, "truenorth")
    said = page.as_if_words(row)
    joules = row["as_if"]["energy"]["joules_per_sample"]
    assert said.startswith(f"as if it fitted: {si(joules, 'J')} (")
    assert "1\u00a0ms per step" in said
    assert page.energy_words(row) == page.cells(row)["time per step"] == NONE
    assert page.as_if_words(row_of(result, "loihi1")) == ""
    text = (tmp_path / "out" / "index.html").read_text()
    assert f"<em>{said}</em>" in text
    note = "an estimate as if the network fitted"
    assert text.lower().count(note) == 1
    markdown = (tmp_path / "out" / "index.md").read_text()
    assert " ".join(f"* truenorth, {said}".split()) in markdown
    assert note in markdown
    assert json.loads((tmp_path / "out" / "index.json").read_text())["chips"][1]["as_if"]


def test_what_is_not_comparable_is_listed_by_chip(found):
    result = {**found[0], "chips": [dict(row) for row in found[0]["chips"]]}
    row_of(result, "cpu_i7_4960x")["not_comparable"] = ["not comparable: <22 nm>"]
    text = page.page(finite(result))
    assert '<li><span class="muted">cpu_i7_4960x:</span> not comparable: &lt;22 nm&gt;</li>' in text
    assert "* cpu_i7_4960x: not comparable: &lt;22 nm&gt;" in page.summary(finite(result))


@pytest.mark.parametrize("nasty", [None, "<b>", [], {"energy": [], "time": "x", "note": 5}, 3])
def test_an_estimate_that_is_none_is_no_estimate(nasty):
    assert page.as_if_words({"as_if": nasty}) in (
        "", "as if it fitted: not computed",
    )  # fmt: skip


# --- on the command line -----------------------------------------------------------------------


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with a small network and its data."""
    one, zero = np.ones(2), np.zeros(2)
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "fc": nir.Affine(np.eye(2) * 2.0, np.zeros(2)),
        "lif": nir.LIF(0.01 * one, 10 * one, zero, one, v_reset=zero),
        "output": nir.Output({"output": np.array([2])}),
    }  # fmt: skip
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    x = np.random.default_rng(1).integers(0, 2, (4, 8, 2)).astype(np.uint8)
    np.savez(tmp_path / "d.npz", x=x, labels=[0, 1, 0, 1])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spikeport(monkeypatch, capsys, words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["spikeport", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


def deploy(chips: str, *more: str) -> str:
    given = f"deploy net.nir --chip {chips} --data d.npz --dialect nir --dt 1e-3"
    return " ".join([given, "--backends emulator --out out", *more])


def test_a_table_and_a_page_and_0_where_one_chip_takes_it(here, monkeypatch, capsys):
    code, out, _ = spikeport(monkeypatch, capsys, deploy(f"{TWO},akida_akd1000"))
    assert code == 0
    assert out.startswith("net.nir: 2 of 3 chips take the network; accuracy of the reference ")
    assert "loihi1          " in out
    assert "akida_akd1000 (rules): no: " in out
    assert "wrote out/index.html" in out


def test_the_terminal_has_times_and_sets_estimates_apart(here, monkeypatch, capsys):
    _, out, _ = spikeport(monkeypatch, capsys, deploy("loihi1,loihi2,truenorth"))
    head, *rows = out[out.index("chip  ") :].splitlines()
    titles = [part.strip() for part in re.split(r"\s{2,}", head)]
    cells = [dict(zip(titles, re.split(r"\s{2,}", row), strict=True)) for row in rows[:2]]
    for title in ("per step", "per sample", "static", "energy x delay"):
        assert re.fullmatch(r"[\d.]+ \S+", cells[0][title])
        assert cells[1][title] == "unknown"
    assert "\n  as if it fitted: " in out


def test_2_where_no_chip_takes_it_and_the_page_says_why(here, monkeypatch, capsys):
    code, out, error = spikeport(monkeypatch, capsys, deploy("akida_akd1000,xylo_audio2"))
    assert code == 2
    assert "error: no chip takes the network" in error
    assert "0 of 2 chips take the network" in out
    assert Path("out/index.html").is_file()
    assert [path.name for path in Path("out").iterdir() if path.is_dir()] == []


def test_a_chip_that_does_not_exist_is_2_before_anything_runs(here, monkeypatch, capsys):
    before = sorted(here.iterdir())
    for chips in ("loihi1,loihi9", "no.yaml,loihi1", ","):
        code, out, error = spikeport(monkeypatch, capsys, deploy(chips))
        assert code == 2
        assert out == ""
        assert error.count("error:") == 1
    assert sorted(here.iterdir()) == before


def test_one_chip_is_as_ever(here, monkeypatch, capsys):
    code, _, _ = spikeport(monkeypatch, capsys, deploy("loihi1"))
    assert code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip


def test_the_json_is_the_index(here, monkeypatch, capsys):
    _, out, _ = spikeport(monkeypatch, capsys, deploy(TWO, "--json"))
    plain, index = json.loads(out), json.loads(Path("out/index.json").read_text())
    assert plain["chips"] == index["chips"]


def test_a_broken_budget_of_one_chip_is_1(here, monkeypatch, capsys):
    code, _, error = spikeport(monkeypatch, capsys, deploy(TWO, "--fail-on", "cores>0"))
    assert code == 1
    assert "error: loihi1: Lava differs, or a budget is broken; see its report" in error


def test_all_names_every_shipped_chip_and_a_file_with_a_comma_is_one(here):
    assert [chip.name for chip in chips_named("all")] == backends.chip_names()
    assert [chip.name for chip in chips_named("loihi1, loihi1,generic_graded")] == [
        "loihi1", "generic_graded",
    ]  # fmt: skip
    Path("a,b.yaml").write_text((backends.CHIPS / "loihi1.yaml").read_text())
    assert not are_several("a,b.yaml")
    assert are_several("a,c.yaml")


def test_check_gives_a_row_per_chip(here, monkeypatch, capsys):
    code, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip loihi1,akida_akd1000")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["loihi1", "akida_akd1000"]
    assert "fits: 1 core, 2 compartments" in out
    assert "does not fit: " in out
    code, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip akida_akd1000,odin --json")
    assert code == 2
    assert [row["fits"] for row in json.loads(out)["chips"]] == [False, False]


def test_check_says_figure_limit_and_fix_of_every_violation(here, monkeypatch, capsys):
    text = (backends.CHIPS / "loihi1.yaml").read_text().replace("name: loihi1", "name: small")
    for old, new in (("value: 4096", "value: 1"), ("value: 1048576", "value: 10")):
        text = text.replace(old, new)
    Path("small.yaml").write_text(text)
    code, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip small.yaml --json")
    plain = json.loads(out)
    assert code == 2
    assert plain["level"] == "oracle-equal"
    assert len(plain["details"]) == len(plain["violations"]) > 0
    for detail, sentence in zip(plain["details"], plain["violations"], strict=True):
        assert sentence == (
            f"{detail['object']} needs {detail['figure']} {detail['what']}, the limit is "
            f"{detail['limit']}: {detail['fix']}"
        )
        assert detail["figure"] > detail["limit"]


def test_check_says_what_is_not_published_and_so_not_checked(here, monkeypatch, capsys):
    lines = (backends.CHIPS / "loihi1.yaml").read_text().splitlines()
    start = lines.index("  out_axons:")
    Path("silent.yaml").write_text("\n".join([*lines[:start], *lines[start + 5 :]]))
    code, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip silent.yaml")
    assert code == 0
    assert "  not published, so not checked: out axons" in out.splitlines()
    spikeport(monkeypatch, capsys, deploy("silent.yaml"))
    notes = json.loads(Path("out/report.json").read_text())["notes"]
    assert "not published, so not checked: out axons" in notes


def test_a_core_that_counts_words_lacks_no_bytes_and_the_other_way_round():
    words, in_bytes = (backends.find_chip(name).core for name in ("speck2f", "akida_akd1000"))
    assert not {"weight_bytes", "input_bytes"} & set(unpublished(words))
    assert not {"kernel_entries", "neuron_entries"} & set(unpublished(in_bytes))
    assert "channels" in unpublished(in_bytes)


def test_check_says_which_limits_are_unverified(here, monkeypatch, capsys):
    lines = (backends.CHIPS / "loihi1.yaml").read_text().splitlines()
    start = lines.index("  out_axons:")
    lines[start + 4] = lines[start + 4].replace("basis: code", "basis: unverified")
    Path("doubted.yaml").write_text("\n".join(lines))
    _, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip doubted.yaml")
    assert "  taken from unverified figures: out axons" in out.splitlines()
    assert "--dialect" in out.splitlines()[-1]  # nobody said what a step means
    _, out, _ = spikeport(
        monkeypatch, capsys, "check net.nir --chip loihi1 --dialect nir --dt 0.001"
    )
    assert "--dialect" not in out
    code, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip loihi1 --set reset=none")
    assert (code, "is reset by none" in out) == (2, True)


def test_linked_chips_are_checked_deployed_run_and_exported(here, monkeypatch, capsys):
    text = (backends.CHIPS / "loihi1.yaml").read_text().replace("name: loihi1", "name: one")
    for old, new in (
        ("value: 8\n    unit: tiles", "value: 1\n    unit: tiles"),
        ("value: 4\n    unit: tiles", "value: 1\n    unit: tiles"),
        ("value: 4\n    unit: cores", "value: 1\n    unit: cores"),
        ("value: 1024\n    unit: compartments", "value: 1\n    unit: compartments"),
    ):
        assert old in text
        text = text.replace(old, new)
    Path("one.yaml").write_text(text)
    code, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip one.yaml")
    assert code == 2
    (line,) = [line for line in out.splitlines() if "cores, the limit is" in line]
    advice = line.rpartition(": ")[2]
    assert advice.startswith("--chips ")
    said = f"--dialect nir --dt 1e-3 {advice}"
    assert spikeport(monkeypatch, capsys, f"check net.nir --chip one.yaml {advice}")[0] == 0
    assert spikeport(monkeypatch, capsys, deploy("one.yaml", advice))[0] == 0
    run = f"run net.nir --backend emulator --chip one.yaml --input d.npz --out r.npz {said}"
    assert spikeport(monkeypatch, capsys, run)[0] == 0
    export = f"export net.nir --chip one.yaml --to lava --out bundle {said}"
    assert spikeport(monkeypatch, capsys, export)[0] == 0
    code, _, error = spikeport(monkeypatch, capsys, "check net.nir --chip one.yaml --chips 99999")
    assert code == 2
    assert "can be linked to 16384 at most" in error


def test_what_is_limits_alone_or_floats_is_not_run_and_says_what_to_do(here, monkeypatch, capsys):
    code, _, error = spikeport(monkeypatch, capsys, deploy("akida_akd1000"))
    assert code == 2
    assert "fix: spikeport check net.nir --chip akida_akd1000" in error
    words = "run net.nir --backend emulator --chip {} --input d.npz --out r.npz --dialect nir"
    for chip, fix in (
        ("akida_akd1000", "spikeport check NET --chip akida_akd1000"),
        ("cpu_i7_4960x", "--backend reference"),
    ):
        code, _, error = spikeport(monkeypatch, capsys, f"{words.format(chip)} --dt 1e-3")
        assert code == 2
        assert fix in error
