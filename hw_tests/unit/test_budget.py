"""Budgets: conditions on a result, alone or against an old report, and what they do to a build."""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import nir
import numpy as np
import pytest

from spikeport.budget import METRICS, Budget, judge, parse_budget, read_baseline
from spikeport.cli import main
from spikeport.compiler.errors import DataError


def result(**changed: Any) -> dict[str, Any]:
    values = {
        "accuracy": {"emulator": 0.96, "reference": 0.98},
        "energy": {"joules_per_sample": 2e-6},
        "latency_steps": 3,
        "resources": {"cores": 4, "synaptic_memory_bits": 1000},
        "parity": {"emulator_vs_reference": {"different": 7}},
    }
    return values | changed


def broken(text: str, new: Any = None, old: Any = None) -> list[str]:
    """Return the names of the conditions that are broken."""
    verdict = judge(parse_budget(text), new or result(), old)
    assert verdict["passed"] == all(item["ok"] for item in verdict["items"])
    return [item["name"] for item in verdict["items"] if not item["ok"]]


def test_conditions_are_parsed_with_spaces_signs_and_factors():
    assert parse_budget("accuracy<0.97, energy > 1.05x,cores>2e1") == (
        Budget("accuracy", "<", 0.97, False),
        Budget("energy", ">", 1.05, True),
        Budget("cores", ">", 20.0, False),
    )
    assert parse_budget("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "speed<1", "accuracy", "accuracy<", "accuracy=1", "accuracy<=0.9", "accuracy<0.9%",
        "accuracy<nan", "accuracy<inf", "accuracy<1e999", "accuracy<--1", "accuracy<0.9y", "<0.9",
        "accuracy<0.9;energy>1", "energy>1.0xx", "accuracy<0.9,energy",
    ],
)  # fmt: skip
def test_a_malformed_condition_shows_a_right_one_that_works(text):
    with pytest.raises(DataError, match="cannot read the budget") as caught:
        parse_budget(text)
    assert all(metric in str(caught.value) for metric in METRICS)
    advice = caught.value.fix.removeprefix("--fail-on ").strip("'")
    assert len(parse_budget(advice)) == 2


def test_a_condition_is_broken_beyond_its_number_and_not_at_it():
    assert broken("accuracy<0.97") == ["accuracy<0.97"]
    assert broken("accuracy<0.96") == []
    assert broken("energy>1.9e-6") == ["energy>1.9e-06"]
    assert broken("energy>2e-6") == []
    assert broken("latency>2,cores>4,synaptic_memory>999,different>6,accuracy_reference<0.99") == [
        "latency>2", "synaptic_memory>999", "different>6", "accuracy_reference<0.99",
    ]  # fmt: skip


def test_a_factor_is_on_the_old_value():
    old = result(energy={"joules_per_sample": 1e-6})
    assert broken("energy>1.9x", old=old) == ["energy>1.9x"]
    assert broken("energy>2.1x", old=old) == []
    assert broken("accuracy<1x", old=result(accuracy={"emulator": 0.97})) == ["accuracy<1x"]
    (item,) = judge(parse_budget("energy>1.9x"), result(), old)["items"]
    assert [item[key] for key in ("old", "new", "limit")] == pytest.approx([1e-6, 2e-6, 1.9e-6])


@pytest.mark.parametrize("missing", [None, float("nan"), float("inf"), "0.99"])
def test_a_value_that_is_not_there_breaks_its_condition(missing):
    assert broken("accuracy<0.9", result(accuracy={"emulator": missing})) == ["accuracy<0.9"]
    assert broken("energy>2x", old=result(energy={"joules_per_sample": missing})) == ["energy>2x"]
    assert broken("energy>2x", old={"energy": None}) == ["energy>2x"]


def test_a_factor_needs_a_baseline_and_a_number_does_not():
    assert read_baseline(None, parse_budget("accuracy<0.97")) is None
    with pytest.raises(DataError) as caught:
        read_baseline(None, parse_budget("accuracy<0.97,energy>1.05x"))
    assert str(caught.value) == (
        "energy is compared with an old value, and there is none: "
        "a budget that ends in x is a factor on the baseline\n"
        "  fix: add --baseline OLD/report.json"
    )


@pytest.mark.parametrize(
    "content",
    ["", "{", "[]", "7", "{}", '{"accuracy": 1}', "\x00", "[" * 100_000, "ü".encode("l1")],
)
def test_a_baseline_that_is_no_report_is_refused_by_name(content, tmp_path):
    path = tmp_path / "old.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(DataError, match=r"cannot read the baseline old\.json"):
        read_baseline(path, ())


def test_a_missing_baseline_is_refused_by_name(tmp_path):
    with pytest.raises(DataError, match=r"cannot read the baseline gone\.json: No such file"):
        read_baseline(tmp_path / "gone.json", ())
    with pytest.raises(DataError, match="cannot read the baseline"):
        read_baseline(tmp_path, ())


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


def deploy(capsys, monkeypatch, out: str, *more: str) -> tuple[int, str]:
    words = (
        "spikeport deploy net.nir --chip loihi1 --data d.npz --dialect nir --dt 1e-3 "
        f"--backends emulator --out {out}"
    )
    monkeypatch.setattr(sys, "argv", [*words.split(), *more])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr().err


def test_a_broken_budget_exits_1_with_old_new_and_limit(here, capsys, monkeypatch):
    assert deploy(capsys, monkeypatch, "first") == (0, "")
    kept = ("--baseline", "first/report.json", "--fail-on", "energy>1.05x,accuracy<1x,latency>9")
    assert deploy(capsys, monkeypatch, "same", *kept) == (0, "")

    old = json.loads(Path("first/report.json").read_text())
    joules = old["energy"]["joules_per_sample"]
    old["energy"]["joules_per_sample"] = joules / 2
    Path("old.json").write_text(json.dumps(old))
    worse = ("--baseline", "old.json", "--fail-on", "energy>1.05x,latency>9")
    code, said = deploy(capsys, monkeypatch, "worse", *worse)
    assert code == 1
    assert said == (
        f"error: budget broken: energy>1.05x: old {joules / 2}, new {joules}, "
        f"limit {1.05 * joules / 2}\n"
    )
    budget = json.loads(Path("worse/report.json").read_text())["budget"]
    assert [item["ok"] for item in budget["items"]] == [False, True]


def test_a_malformed_budget_exits_2_before_anything_is_run_or_written(here, capsys, monkeypatch):
    before = sorted(here.iterdir())
    for more in (("--fail-on", "speed>1"), ("--fail-on", "energy>1x"), ("--baseline", "no.json")):
        code, said = deploy(capsys, monkeypatch, "out", *more)
        assert code == 2
        assert said.count("error:") == 1
        assert "fix:" in said
    assert sorted(here.iterdir()) == before
