"""`spikeport validate-energy`: table, JSON, exit codes, and the page that it makes."""

from __future__ import annotations

import json
import sys

import pytest

from hw_tests.bench.validation_table import MARK, PAGE, table, with_table
from spikeport import backends
from spikeport.cli import main
from spikeport.cli.show_validation import cells
from spikeport.pages.markdown import text
from spikeport.validation import validate


def spikeport(monkeypatch, capsys, words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["spikeport", *words.split()])
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


def test_json_has_what_validate_returns(monkeypatch, capsys):
    code, out, err = spikeport(monkeypatch, capsys, "validate-energy --json")
    assert json.loads(out) == validate()
    assert (code, err) == (0, "")


def test_the_table_has_every_point_with_predicted_interval_published_and_error(monkeypatch, capsys):
    code, out, _ = spikeport(monkeypatch, capsys, "validate-energy")
    assert code == 0
    rows = [line for line in out.splitlines() if line.startswith("\N{BOX DRAWINGS LIGHT VERTICAL}")]
    points = validate()["points"]
    assert len(rows) == len(points)
    for row, point in zip(rows, points, strict=True):
        shown = [cell.strip() for cell in row.strip("\N{BOX DRAWINGS LIGHT VERTICAL}").split(
            "\N{BOX DRAWINGS LIGHT VERTICAL}")]  # fmt: skip
        assert shown == list(cells(point))


def test_what_was_fitted_and_what_is_missing_is_printed_with_reasons(monkeypatch, capsys):
    _, out, _ = spikeport(monkeypatch, capsys, "validate-energy")
    plain = validate()
    for row in plain["not_reproduced"]:
        assert f"{row['name']}: {row['published']}: {row['why']}" in out
    for fit in plain["fits"]:
        assert f"{', '.join(fit['constants'])}: {fit['fitted_on']}" in out
    assert "Measured, not counted and outside: knn_sanafe" in out


def test_one_chip_alone_is_shown(monkeypatch, capsys):
    _, out, _ = spikeport(monkeypatch, capsys, "validate-energy --chip odin --json")
    plain = json.loads(out)
    assert {point["chip"] for point in plain["points"]} == {"odin"}
    assert {row["chip"] for row in (*plain["fits"], *plain["not_reproduced"])} == {"odin"}


@pytest.mark.parametrize(
    ("chip", "why"),
    [
        ("loihi9", "unknown chip 'loihi9'"),
        ("speck2f", "no published point of speck2f"),
        ("nowhere/odin.yaml", "cannot read a chip description"),
    ],
)
def test_a_chip_without_points_is_refused(monkeypatch, capsys, chip, why):
    code, out, err = spikeport(monkeypatch, capsys, f"validate-energy --chip {chip}")
    assert (code, out) == (2, "")
    assert why in err


def test_advice_about_a_chip_without_points_works(monkeypatch, capsys):
    _, _, err = spikeport(monkeypatch, capsys, "validate-energy --chip xylo_imu")
    words = err.partition("fix: ")[2].strip()
    assert spikeport(monkeypatch, capsys, f"validate-energy {words}")[0] == 0


def test_a_counted_point_outside_of_its_interval_ends_with_1(monkeypatch, capsys, tmp_path):
    own = (backends.CHIPS / "truenorth.yaml").read_text()
    assert own.count("value: 2.297e-12") == 1
    path = tmp_path / "changed.yaml"
    path.write_text(own.replace("value: 2.297e-12", "value: 9.0e-12"))
    code, out, err = spikeport(monkeypatch, capsys, f"validate-energy --chip {path}")
    assert code == 1
    assert "OUTSIDE" in out
    assert err == "error: outside of the interval: truenorth_20hz\n"


def test_help_says_what_exit_code_1_means(monkeypatch, capsys):
    _, out, _ = spikeport(monkeypatch, capsys, "validate-energy --help")
    assert "Exit code 1" in out


def test_the_page_in_the_documentation_is_the_one_of_today():
    """Run `make validate` after a change of a chip's figures or of the points."""
    page = PAGE.read_text(encoding="utf-8")
    assert page.count(MARK) == 2
    assert page == with_table(page, table(validate()))


def test_the_page_has_the_cells_that_the_command_prints():
    page = PAGE.read_text(encoding="utf-8")
    for point in validate()["points"]:
        assert f"| {' | '.join(map(text, cells(point)))} |" in page
