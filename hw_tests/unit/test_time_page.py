"""Time on the pages: what a step is made of, who ends it, and what is not known."""

from __future__ import annotations

import math
from typing import Any

import pytest

from hw_tests.results import digits, time_values, timed
from hw_tests.well_formed import Balanced
from spikeport.cli.show import time_words
from spikeport.pages import html, markdown, step_chart, verdict
from spikeport.pages.plain import finite
from spikeport.pages.step_chart import chart
from spikeport.pages.time import time
from spikeport.pages.units import SPACE

TOP = 1.02 * 1.2e-5  # the longest sample of the slowest step, and some room


def shown(result: dict[str, Any]) -> dict[str, Any]:
    return time(finite(result), [])


def plainly(text: str) -> str:
    return text.replace(SPACE, " ")


def height(seconds: float, top: float = TOP) -> float:
    """Y of a time in pixels from the top."""
    return step_chart.HEIGHT * (1 - seconds / top)


def test_the_verdict_says_step_model_column_sample_and_energy_times_delay():
    found = verdict.time(timed())
    assert (found.state, plainly(found.headline)) == ("bad", "8 µs")
    assert [plainly(line) for line in found.lines] == [
        "6 to 10 µs by Davies 2018, table 2: pre-silicon simulation at 0.75 V",
        "model: detailed model",
        "a sample (4 steps): 32 µs; 31 250 samples per second",
        "energy \N{MULTIPLICATION SIGN} delay: 840 pJ·s, dynamic and static",
        "over its budget in 25 % of the steps",
    ]
    result = timed()
    result["time"]["budget"]["keeps_up"] = True
    assert verdict.time(result).state == "plain"


def test_a_bar_is_compute_memory_traffic_and_barrier_from_the_bottom_up():
    drawn = chart(time_values())
    bar = drawn.bars[0]
    assert [part.colour for part in bar.parts] == ["k1", "k4", "k7", "k0"]
    tops = [height(seconds) for seconds in (1.0e-6, 6.0e-6, 6.5e-6, 7.0e-6)]
    assert [part.y for part in bar.parts] == pytest.approx(tops)
    lower = [step_chart.HEIGHT, *(part.y for part in bar.parts)]
    heights = [below - part.y for below, part in zip(lower, bar.parts, strict=False)]
    assert [part.height for part in bar.parts] == pytest.approx(heights)
    assert bar.whisker == pytest.approx((height(9.0e-6), height(4.0e-6)))
    assert not drawn.fixed


def test_every_step_is_marked_by_what_bounds_it_and_names_its_core():
    bars = chart(time_values()).bars
    assert [bar.bound for bar in bars] == ["k4", "k4", "k7", "k4"]
    assert plainly(bars[2].title) == (
        "step 2: 11 µs; 10 µs to 12 µs over the samples; compute 1 µs; memory 1 µs; "
        "traffic 8.5 µs; barrier 500 ns; traffic-bound; ended by core 1"
    )


def test_the_budget_is_a_line_where_it_is_in_sight():
    assert chart(time_values()).budget == pytest.approx(height(1.0e-5))
    far = time_values()
    far["budget"]["seconds"] = 1.0
    assert chart(far).budget is None
    near = time_values()
    near["budget"]["seconds"] = 1.6e-5
    assert chart(near).budget == pytest.approx(height(1.6e-5, 1.02 * 1.6e-5))


def test_of_thousands_of_steps_the_slowest_of_a_few_is_a_bar():
    many = time_values()
    many["steps"] = [
        {"step": step, "seconds": 2e-6 if step == 1001 else 1e-6} for step in range(2000)
    ]
    drawn = chart(many)
    assert len(drawn.bars) == 286
    assert drawn.notes == ("each bar is the slowest of 7 steps",)
    assert plainly(drawn.bars[143].title).startswith("step 1 001: 2 µs")
    assert drawn.width <= step_chart.WIDTH + 1e-6
    last = drawn.bars[-1]
    assert last.x + last.width <= drawn.width + 1e-6


def test_a_tick_is_not_taken_apart():
    tick = {"steps": [{"step": 0, "seconds": 1e-3, "compute": 0.0, "bound": None, "core": None}]}
    drawn = chart(tick)
    (bar,) = drawn.bars
    assert drawn.fixed
    assert [part.colour for part in bar.parts] == ["kx"]
    assert (bar.bound, bar.whisker, plainly(bar.title)) == ("", None, "step 0: 1 ms")
    assert "not taken apart" in html.page(
        {"time": {"known": True, "seconds_per_step": 1e-3} | tick}
    )


def test_the_page_names_critical_cores_late_cores_and_full_routes():
    found = shown(timed())
    assert [(row["core"], row["tile"], row["populations"]) for row in found["cores"]] == [
        ("0", "0, 0", "1: 80"), ("1", "4, 0 (chip 1)", "3: 10"),
    ]  # fmt: skip
    assert [plainly(row["share"]) for row in found["cores"]] == ["75 %", "25 %"]
    assert [tuple(map(plainly, row)) for row in found["late"]] == [("1", "25 %", "12 µs")]
    assert found["routes"] == [("(0, 0)", "(4, 0)", "12.5")]
    assert found["pressure"] == "12.5 packets per sample have to wait for room on the mesh"
    text = plainly(html.page(finite(timed())))
    for title in ("Critical cores", "Cores that are over the budget", "Routes on which most"):
        assert title in text


def test_a_budget_is_kept_or_broken_in_words():
    found = timed()
    assert plainly(shown(found)["budget"]) == (
        "too slow in 25 % of the steps: a step may take 10 µs (the time step of the network, in "
        "real time); the mean step is 1.25 times as fast as needed"
    )
    found["time"]["budget"] |= {"keeps_up": True, "times": 14.02}
    assert plainly(shown(found)["budget"]).startswith("keeps up: a step may take 10 µs")
    found["time"]["budget"]["times"] = 0.5
    assert plainly(shown(found)["budget"]).endswith("the mean step is 2 times too slow")
    found["time"]["pressure"]["blocked_per_sample"] = 0.0
    assert shown(found)["pressure"] == "no packet has to wait for room on the mesh"


def test_columns_stand_apart_and_say_why_they_have_no_time():
    used, other = shown(timed())["columns"]
    assert used["used"]
    assert plainly(used["step"]) == "8 µs (6 to 10 µs)"
    assert other == {
        "name": "sanafe", "used": False, "why": "unknown: the column sanafe states no times",
    }  # fmt: skip


def unknown() -> dict[str, Any]:
    """Return a result on a chip whose times are not published."""
    result = timed()
    result["time"] = {"known": False, "why": "no time per event has been published for loihi2"}
    return result


def test_an_unknown_time_is_unknown_with_the_reason_everywhere():
    why = "no time per event has been published for loihi2"
    assert verdict.time(unknown()).headline == "unknown"
    assert f'<p class="lead">Unknown: {why}.</p>' in html.page(finite(unknown()))
    assert f"## Time\nUnknown: {why}." in markdown.summary(finite(unknown()))
    assert time_words(unknown()["time"]) == f"unknown: {why}"
    assert "steps-title" not in html.page(finite(unknown()))


def test_a_report_from_before_time_was_computed_says_nothing_of_it():
    old = html.page(finite(digits()))
    assert 'id="time"' not in old
    assert 'id="baselines"' not in old
    assert "Time per step" not in old
    assert len(verdict.verdicts(digits())) == 3
    assert "## Time" not in markdown.summary(finite(digits()))


def test_on_the_terminal_time_is_one_line():
    result = timed()["time"]
    assert time_words(result) == (
        "8 µs (6 to 10 µs) per step, 32 µs per sample, 31 250 samples per second, davies2018, "
        "detailed model, TOO SLOW for its time step"
    )
    result["budget"]["keeps_up"] = True
    assert time_words(result).endswith("davies2018, detailed model")


def test_the_summary_of_time_as_a_whole():
    text = plainly(markdown.summary(finite(timed())))
    assert text[text.index("## Time") : text.index("## Baselines")] == SUMMARY


def test_sources_of_times_are_in_the_list_at_the_end():
    text = html.page(finite(timed()))
    assert "table 2: hop E-W</li>" in text
    numbers = time(finite(timed()), ["a", "Davies et al., 2018, table 2: hop E-W"])
    assert numbers["source_numbers"] == [2]


NASTY: list[Any] = [
    None, "", "<script>alert(1)</script>", "5", True, [], {}, [[]], [None], {"a": {"b": []}},
    -1.0, -1e300, 1e300, 1e-320, 5e-324, 10**400, math.inf, math.nan, [1, 2, 3], ["a", "b"],
    {"<b>": "<i>"},
]  # fmt: skip


def places(value: Any, *way: Any) -> list[tuple[Any, ...]]:
    """Return the way to every value inside another."""
    inner: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value[:2]))
    return [way, *(place for key, each in inner for place in places(each, *way, key))]


def put(result: dict[str, Any], way: tuple[Any, ...], value: Any) -> None:
    holder: Any = result
    for key in way[:-1]:
        holder = holder[key]
    holder[way[-1]] = value


@pytest.mark.parametrize("part", ["time", "energy", "baselines"])
def test_nothing_in_a_result_breaks_a_page(part):
    """Every value, one after the other, is replaced by something that it should not be."""
    ways = [way for way in places({part: timed()[part]}) if way]
    assert len(ways) >= 30
    for place, way in enumerate(ways):
        result = {key: timed()[key] for key in ("time", "energy", "baselines")}
        put(result, way, NASTY[(7 * place + len(way)) % len(NASTY)])
        check_pages(result)


@pytest.mark.parametrize("nasty", NASTY, ids=repr)
def test_nothing_breaks_a_page_where_every_figure_is_wrong(nasty):
    result = {key: timed()[key] for key in ("time", "energy", "baselines")}
    for way in places(result):
        if way and isinstance(at(timed(), way), int | float):
            put(result, way, nasty)
    check_pages(result)


def at(value: Any, way: tuple[Any, ...]) -> Any:
    for key in way:
        value = value[key]
    return value


def check_pages(result: dict[str, Any]) -> None:
    text = html.page(finite(result))
    parsed = Balanced(text)
    assert (parsed.wrong, parsed.open) == ([], [])
    assert "<script" not in text
    assert "nan" not in " ".join(value for name, value in parsed.attributes if name != "id")
    assert "<script" not in markdown.summary(finite(result))


SUMMARY = """\
## Time
|  | a step | a sample | samples | energy x delay | model |
|---|---|---|---|---|---|
| davies2018 (used) | 8 µs (6 to 10 µs) | 32 µs (24 to 40 µs) | 31 250 per second (25 000 to \
41 667) | 840 pJ·s (0.36 to 1.9 nJ·s), dynamic and static | detailed model |
| sanafe | unknown: the column sanafe states no times |  |  |  |  |

* Steps: 75 % memory-bound, 25 % traffic-bound; mean step: compute 1 µs, memory 4 µs, traffic \
2.5 µs, barrier 500 ns.
* Steps are ended by core 0 (75 %), core 1 (25 %).
* Too slow in 25 % of the steps: a step may take 10 µs (the time step of the network, in real \
time); the mean step is 1.25 times as fast as needed.
* 12.5 packets per sample have to wait for room on the mesh.

"""
