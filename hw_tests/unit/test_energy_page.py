"""Energy on the pages: dynamic and static apart, by layer and kind, and conventional hardware."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hw_tests.results import digits, timed
from spikeport import deploy
from spikeport.cli.show import print_deployed
from spikeport.pages import html, markdown, sums, verdict
from spikeport.pages.baselines import baselines
from spikeport.pages.energy import energy, number_of, sources_of
from spikeport.pages.plain import finite
from spikeport.pages.units import NONE, SPACE

DEMO = Path(__file__).resolve().parents[2] / "spikeport" / "demo"


def shown(result: dict[str, Any]) -> dict[str, Any]:
    values = finite(result)
    return energy(values, sources_of(values))


def plainly(text: str) -> str:
    return text.replace(SPACE, " ")


def test_static_energy_stands_beside_dynamic_and_is_unknown_where_nobody_knows_it():
    used, other = shown(timed())["sums"]
    assert plainly(used["dynamic"]) == "6.39 µJ (5.11 to 7.67 µJ)"
    assert plainly(used["static"]) == "20 µJ (10 to 40 µJ)"
    assert plainly(used["total"]) == "26.4 µJ (15 to 48 µJ)"
    assert plainly(used["delay"]) == "840 pJ·s (0.36 to 1.9 nJ·s), dynamic and static"
    assert (other["static"], other["total"], other["delay"]) == ("unknown", "unknown", NONE)
    assert plainly(other["dynamic"]) == "6.58 µJ (5.79 to 7.37 µJ)"


def test_no_sum_is_on_the_page_that_the_result_does_not_have():
    result = timed()
    for column in (result["energy"], *result["energy"]["columns"].values()):
        column["total_joules_per_sample"] = column["total_interval"] = None
    text = plainly(html.page(finite(result)))
    assert "20 µJ (10 to 40 µJ)" in text
    assert "26.4 µJ" not in text
    assert "26.4 µJ" in plainly(html.page(finite(timed())))


def test_the_verdict_calls_the_energy_dynamic_and_says_static_apart():
    lines = [plainly(line) for line in verdict.energy(timed()).lines]
    assert lines[0].endswith(", dynamic")
    assert lines[1] == "static, apart: 20 µJ (10 to 40 µJ)"
    result = timed()
    result["energy"]["static_joules_per_sample"] = None
    assert verdict.energy(result).lines[1] == "static, apart: unknown"


def test_an_old_report_has_one_energy_and_no_word_of_static():
    assert shown(digits())["sums"] == []
    assert "together" not in markdown.summary(finite(digits()))
    assert not any("static" in line for line in verdict.energy(digits()).lines)


def test_a_layer_is_a_bar_of_its_event_kinds():
    """The reset of the chip hides everything, so bars leave it out and the largest is full."""
    found = shown(timed())
    rows = {row["name"]: row for row in found["layers"]}
    assert list(rows) == ["1", "3", "chip"]
    assert found["layers_without"] == "state reset"
    assert rows["chip"]["segments"] == []
    assert plainly(rows["chip"]["cost"]) == "5.94 µJ"
    ledger = {
        (line["population"], line["kind"]): line["joules_per_sample"]
        for line in timed()["energy"]["ledger"]
    }
    most = sum(cost for (name, _), cost in ledger.items() if name == "1")
    for name in ("1", "3"):
        drawn = {segment.name: segment for segment, _, _ in rows[name]["segments"]}
        costs = {kind: cost for (pop, kind), cost in ledger.items() if pop == name and cost}
        assert set(drawn) == set(costs)
        for kind, cost in costs.items():
            assert drawn[kind].width == pytest.approx(100 * cost / most, abs=0.01)
    x = 0.0
    for segment, _, _ in rows["1"]["segments"]:
        assert segment.x == pytest.approx(x, abs=0.02)
        x += segment.width
    assert x == pytest.approx(100.0, abs=0.05)
    assert rows["3"]["segments"][0][1:] == ("k1", "soma access: 14\xa0nJ")


def test_every_line_of_the_ledger_has_its_interval_and_its_uncertainty():
    line = shown(timed())["ledger"][0]
    assert plainly(line["interval"]) == "89.9 to 135 nJ"
    assert plainly(line["spread"]) == "±20 %"
    assert shown(digits())["ledger"][0]["interval"] == NONE
    assert '<span class="muted">±20' in html.page(finite(timed()))


def test_linked_chips_have_an_energy_each():
    rows = [(name, plainly(cost)) for name, cost, _ in shown(timed())["chips"]]
    assert rows == [("chip 0", "360 nJ"), ("chip 1", "90 nJ"), ("on no core", "5.94 µJ")]
    assert sums.chips({"by_chip": {"0": 1.0, "-1": 2.0}}) == []


def test_the_host_is_counted_and_in_no_sum():
    assert plainly(shown(timed())["host"]) == (
        "the host does 485 packets into the chip per sample, in no sum here: what it does is "
        "counted, not priced"
    )
    assert shown(digits())["host"] == ""


def test_what_is_not_comparable_is_said_as_it_was_given():
    text = html.page(finite(timed()))
    assert "<li>not comparable: loihi1 and x are built in other processes</li>" in text


def test_baselines_say_counts_interval_source_and_caveats():
    values = finite(timed())
    sources = sources_of(values)
    found = baselines(values, sources)
    assert [(name, plainly(value)) for name, value in found["operations"]] == [
        ("dense operations", "148 000"), ("effective MACs", "0"), ("effective ACs", "12 524"),
    ]  # fmt: skip
    processor, single = found["rows"]
    assert (processor["counts"], plainly(processor["interval"])) == ("dense", "1 to 1.6 mJ")
    assert (single["counts"], single["interval"]) == ("effective", NONE)
    assert single["source"] == number_of("Horowitz, ISSCC 2014, fig. 1.1.9", sources)
    text = html.page(values)
    assert "<li>Arithmetic only: no memory traffic.</li>" in text
    assert f'<a href="#source-{single["source"]}">' in text
    assert "| int8 | effective | 12" in markdown.summary(values)


def test_deploy_prints_energy_and_time_in_a_line_each(capsys):
    result = deploy(
        DEMO / "digits.nir", "loihi1", DEMO / "digits.npz", backends_wanted=["emulator"]
    )
    print_deployed(result)
    said = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "per sample (5.96 µJ to 8.95 µJ), davies2018, dynamic; static 20.1 µJ" in said
    assert "per step, 193 µs per sample, 5 191 samples per second, davies2018, simple" in said
