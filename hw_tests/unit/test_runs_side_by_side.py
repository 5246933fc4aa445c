"""Earlier runs side by side: their figures, what differs, what is not comparable."""

from __future__ import annotations

import copy
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hw_tests.results import timed
from hw_tests.well_formed import Balanced
from spikeport import budget, deploy, runs_side_by_side
from spikeport.cli import main
from spikeport.compiler.errors import DataError, OutputError
from spikeport.pages import runs as page
from spikeport.pages.units import MINUS, NONE, SPACE
from spikeport.runs_side_by_side import FIGURES, report_side_by_side

DEMO = Path(__file__).resolve().parents[2] / "spikeport" / "demo"
Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path) -> Save:
    """Writes a result as the report.json of a folder of its own."""

    def write(name: str, result: Any) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        (folder / "report.json").write_text(json.dumps(result))
        return folder / "report.json"

    return write


def other(**more: Any) -> dict[str, Any]:
    """Return the result of a second run, with other values at KEY__KEY."""
    result = copy.deepcopy(timed())
    for way, value in more.items():
        *holders, last = way.split("__")
        part: Any = result
        for key in holders:
            part = part[key]
        part[last] = value
    return result


def plainly(text: str) -> str:
    return text.replace(SPACE, " ")


def cell(result: dict[str, Any], name: str, run: int) -> str:
    row = next(row for row in page.table_rows(result) if row["name"] == name)
    return plainly(" ".join(row["cells"][run]["said"]))


def reasons(result: dict[str, Any], run: int = 1) -> list[str]:
    return [line["why"] for line in result["runs"][run]["not_comparable"]]


def test_every_figure_has_its_difference_to_the_first_run(save):
    second = other(
        accuracy__emulator=0.95, resources__cores=3, time__seconds_per_step=6.0e-6,
        time__latency__seconds=2.4e-5, energy__joules_per_sample=1.0e-4,
        energy__static_joules_per_sample=None,
    )  # fmt: skip
    result = report_side_by_side([save("old", timed()), save("new", second)])
    first, run = result["runs"]
    assert run["figures"]["accuracy"] == 0.95
    assert run["changes"]["seconds_per_step"] == pytest.approx(-0.25)
    assert run["changes"]["accuracy"] == pytest.approx(0.95 - 529 / 540)
    assert run["changes"]["static_joules_per_sample"] is None
    assert set(first["figures"]) == set(run["changes"]) == set(FIGURES)
    assert cell(result, "accuracy", 0) == "97.96 %"
    assert cell(result, "accuracy", 1) == f"95 % ({MINUS}2.96 points)"
    assert cell(result, "cells equal to the reference", 1) == "99.98 % (the same)"
    assert cell(result, "cores", 1) == "3 (+50 %)"
    assert cell(result, "time per step", 1) == f"6 µs (6 to 10 µs) ({MINUS}25 %)"
    assert cell(result, "energy per sample, dynamic", 1) == "100 µJ (5.11 to 7.67 µJ) (15.6 times)"
    assert cell(result, "energy per sample, static", 1) == "unknown"
    assert run["not_comparable"] == []


def test_runs_are_named_by_their_folders(save, tmp_path):
    paths = [save("old", timed()), save("new", timed()).parent]
    (tmp_path / "third.json").write_text(json.dumps(timed()))
    result = report_side_by_side([*paths, tmp_path / "third.json"])
    assert page.heads(result) == ["1 old", "2 new", "3 third"]


@pytest.mark.parametrize(
    ("changed", "why", "marked"),
    [
        ({"graph": "b.nir"}, "another graph: b.nir, not digits.nir", set(FIGURES)),
        ({"samples": 20, "steps": 50}, "other settings: samples 20, not 540, steps 50, not 25",
         set(FIGURES) - {"cores"}),
        ({"semantics__reset": "none"}, "other semantics: reset none, not to_value",
         set(FIGURES) - {"cores"}),
        ({"accuracy__reference": 0.5},
         "other data or labels: the float reference has another accuracy",
         set(FIGURES) - {"cores"}),
        ({"energy__column": "sanafe"}, "another cost column: sanafe, not davies2018",
         {*runs_side_by_side.TIMES, *runs_side_by_side.ENERGIES}),
        ({"time__model": "simple"}, "another model of time: simple, not detailed",
         {*runs_side_by_side.TIMES, "static_joules_per_sample", "joule_seconds"}),
        ({"time__energy_delay__of": "dynamic"},
         "energy x delay is of dynamic energy, not dynamic and static", {"joule_seconds"}),
        ({"chip__name": "mine"}, "another chip: mine, not loihi1",
         set(runs_side_by_side.ENERGIES)),
    ],
)  # fmt: skip
def test_what_is_not_comparable_is_marked_with_the_reason(save, changed, why, marked):
    result = report_side_by_side([save("a", timed()), save("b", other(**changed))])
    (line,) = result["runs"][1]["not_comparable"]
    assert line["why"] == why
    assert set(line["figures"]) == marked
    for name, (title, _) in page.ROWS.items():
        assert cell(result, title, 1).endswith(page.NOT_EQUAL) == (name in marked), name
        assert page.NOT_EQUAL not in cell(result, title, 0)
    assert page.difference_lines(result) == [f"run 2 {page.NOT_EQUAL} run 1: {why}"]


def test_shipped_chips_of_other_processes_say_so(save):
    second = other(chip__name="truenorth", energy__column="akopyan2015")
    (why,) = reasons(report_side_by_side([save("a", timed()), save("b", second)]))
    assert "are other processes" in why
    assert "not comparable" not in why


def test_two_columns_of_one_real_run(tmp_path):
    asked: dict[str, Any] = {"dialect": "snntorch", "dt": 1e-4, "backends_wanted": ["emulator"]}
    for column in ("davies2018", "sanafe"):
        deploy(DEMO / "digits.nir", "loihi1", DEMO / "digits.npz", tmp_path / column,
               column=column, **asked)  # fmt: skip
    result = report_side_by_side([tmp_path / "davies2018", tmp_path / "sanafe"])
    assert result["runs"][1]["changes"]["accuracy"] == 0.0
    assert reasons(result) == [
        "another cost column: sanafe, not davies2018",
        "another model of time: detailed, not simple",
    ]


def test_an_old_report_without_times_says_unknown(save):
    result = timed()
    del result["time"], result["baselines"]
    found = report_side_by_side([save("old", result)])
    assert cell(found, "time per step", 0) == "unknown"
    assert cell(found, "model of time", 0) == NONE
    assert page.unknown_lines(found) == []


def test_why_a_figure_is_unknown_is_said(save):
    result = other(time={"known": False, "why": "no time is published"})
    found = report_side_by_side([save("a", result)])
    assert page.unknown_lines(found) == ["run 1, time unknown: no time is published"]


def test_the_folder_has_three_files_that_say_the_same(save, tmp_path):
    out = tmp_path / "not" / "there"
    result = report_side_by_side([save("a", timed()), save("b", other(graph="b"))], out)
    assert sorted(path.name for path in out.iterdir()) == ["index.html", "index.json", "index.md"]
    again = json.loads((out / "index.json").read_text())
    assert again["runs"] == result["runs"]
    text, summary = ((out / name).read_text() for name in ("index.html", "index.md"))
    parsed = Balanced(text)
    assert (parsed.wrong, parsed.open) == ([], [])
    assert parsed.tags.isdisjoint({"script", "iframe", "object", "link", "img", "form", "base"})
    for row in page.table_rows(result):
        for each in row["cells"]:
            assert each["said"][0] in text
            assert plainly(each["said"][0]) in summary
    assert "another graph: b, not digits.nir" in text
    assert "another graph: b, not digits.nir" in summary
    with pytest.raises(OutputError, match="is in use"):
        report_side_by_side([tmp_path / "a"], out)


NASTY: list[Any] = [
    None, "<script>", "\u202e\ud800\x00|", [], {}, [[1]], True, -1.0, 1e300, 5e-324, 10**4000,
    -(10**60), math.inf, math.nan,
]  # fmt: skip


@pytest.mark.parametrize("nasty", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("first", [True, False])
def test_a_report_may_hold_anything(save, tmp_path, nasty, first):
    """Every value that is looked at is something else; the pages stay whole."""
    bad = timed()
    for way in (*FIGURES.values(), *runs_side_by_side.INTERVALS.values(), ("graph",), ("recipe",),
                ("chip", "name"), ("energy", "column"), ("time", "model"), ("samples",),
                ("semantics", "dt"), ("parity", "emulator_vs_reference", "cells"),
                ("time", "energy_delay", "of"), ("accuracy", "reference")):  # fmt: skip
        part: Any = bad
        for key in way[:-1]:
            part = part[key]
        if way:
            part[way[-1]] = nasty
    bad["semantics"]["<b>"] = nasty
    both = [save("bad", bad), save("good", timed())]
    result = report_side_by_side(both if first else both[::-1], tmp_path / "out")
    text = (tmp_path / "out" / "index.html").read_text()
    parsed = Balanced(text)
    assert (parsed.wrong, parsed.open) == ([], [])
    assert "<script" not in text
    assert "<" not in (tmp_path / "out" / "index.md").read_text()
    json.dumps(result, allow_nan=False)


# --- on the command line -----------------------------------------------------------------------


def spikeport(monkeypatch, capsys, *words: str | Path) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["spikeport", *map(str, words)])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code or 0, plainly(said.out), said.err


def test_one_report_is_a_summary(save, monkeypatch, capsys):
    code, out, error = spikeport(monkeypatch, capsys, "report", save("only", timed()))
    assert (code, error) == (0, "")
    assert out.startswith("digits.nir: 1 run\n")
    rows = [line.split("  ", 1) for line in out.splitlines()[3:]]
    shown = {name.strip(): value.strip() for name, value in rows}
    assert shown["accuracy"] == "97.96 %"
    assert shown["energy per sample, dynamic"] == "6.39 µJ (5.11 to 7.67 µJ)"
    assert shown["time per step"] == "8 µs (6 to 10 µs)"


def test_several_reports_are_a_table_and_a_page(save, tmp_path, monkeypatch, capsys):
    paths = [save("a", timed()), save("b", other(samples=20))]
    code, out, _ = spikeport(monkeypatch, capsys, "report", *paths, "--out", tmp_path / "out")
    assert code == 0
    assert "1 a" in out
    assert "run 2 ≠ run 1: other settings: samples 20, not 540" in out
    assert f"wrote {tmp_path / 'out' / 'index.html'}" in out
    assert (tmp_path / "out" / "index.html").is_file()


def test_json_is_the_index(save, tmp_path, monkeypatch, capsys):
    words = ("report", save("a", timed()), "--json", "--out", tmp_path / "out")
    code, out, _ = spikeport(monkeypatch, capsys, *words)
    index = json.loads((tmp_path / "out" / "index.json").read_text())
    assert code == 0
    assert json.loads(out)["runs"] == index["runs"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "Expecting value"),
        (b"[1, 2]", "it is no report of spikeport deploy"),
        (b'{"accuracy": {}, "energy": 3, "parity": {}}', "it is no report of spikeport deploy"),
        (b'{"chips": []}', "it is the index of several chips"),
        (b"\xff\xfe\x00", "cannot read the report"),
        (b"[" * 200_000, "recursion"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "digit"),
    ],
    ids=range(7),
)
def test_what_is_no_report_is_2_with_one_message(
    tmp_path, monkeypatch, capsys, content: bytes, why: str
):
    (tmp_path / "report.json").write_bytes(content)
    code, out, error = spikeport(
        monkeypatch, capsys, "report", tmp_path / "report.json", "--out", tmp_path / "out"
    )
    assert (code, out) == (2, "")
    assert error.count("error:") == 1
    assert why in error
    assert not (tmp_path / "out").exists()


def test_a_report_that_is_not_there_or_no_file_is_2(tmp_path, monkeypatch, capsys):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path, tmp_path / "none.json", tmp_path / "pipe", "a\0b"):
        with pytest.raises(DataError, match="cannot read the report"):
            report_side_by_side([path])
    code, _, error = spikeport(monkeypatch, capsys, "report", tmp_path / "none.json")
    assert code == 2
    assert "there is no such file" in error


def test_an_endless_report_is_refused_before_it_is_parsed(save, monkeypatch):
    path = save("a", timed())
    monkeypatch.setattr(runs_side_by_side, "LARGEST_BASELINE", path.stat().st_size - 1)
    with pytest.raises(DataError, match="it is larger than 64 MiB"):
        report_side_by_side([path])
    assert budget.LARGEST_BASELINE == 64 << 20


def test_too_many_reports_are_refused(save):
    with pytest.raises(DataError, match="1 to 64 can be compared"):
        report_side_by_side([save("a", timed())] * 65)
