"""Published points: predictions by hand, what counts, and what a file of points may not say."""

from __future__ import annotations

import json

import pytest

from spikeport import backends
from spikeport.backends.validation.points import FOLDER, Events, published, read_published
from spikeport.compiler.chip import Chip
from spikeport.compiler.errors import ChipError, DataError
from spikeport.validation import KNEW, judged, predict, summary, validate

FILES = published()
POINTS = {point.name: (point, said) for said in FILES.values() for point in said.points}
KEYS = {
    "name", "chip", "column", "unit", "counted", "predicted", "interval", "half_width", "published",
    "error", "inside", "fitted", "source", "note",
}  # fmt: skip


@pytest.fixture(scope="module")
def plain():
    return validate()


def found(plain, name):
    return next(point for point in plain["points"] if point["name"] == name)


def with_figure(chip: Chip, column: str, kind: str, factor: float) -> Chip:
    """Return a chip with one figure of one column times a factor."""
    old = chip.costs[column]
    figure = old.figures[kind]
    new = figure.model_copy(update={"value": figure.value * factor})
    changed = old.model_copy(update={"figures": {**old.figures, kind: new}})
    return chip.model_copy(update={"costs": {**chip.costs, column: changed}})


# ---- the figures by hand


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("truenorth_12hz", 0.06443 + 1048576 * 11.58 * 128 * 2.297e-12),
        ("truenorth_20hz", 0.06443 + 1048576 * 20.07 * 128 * 2.297e-12),
        ("truenorth_96hz", 0.06443 + 1048576 * 95.93 * 128 * 2.297e-12),
        ("truenorth_0v775", 0.06443 + 1048576 * 20 * 128 * 2.297e-12),
        ("odin_75mhz", 27.3e-6 + 1.78e-6 * 75 + 8.43e-12 * 37.5e6),
        ("odin_1mhz3", 27.3e-6 + 1.78e-6 * 1.3 + 8.43e-12 * 650e3),
        ("pohoiki_static", 32 * 0.1044),
        ("pohoiki_reset", 32 * 5.94e-6),
        ("davies_neuron_active", 81e-12),
    ],
)
def test_a_prediction_is_counts_times_figures(plain, name, by_hand):
    assert found(plain, name)["predicted"] == pytest.approx(by_hand, rel=1e-12)


def test_predictions_are_those_of_the_research_notes(plain):
    watts = {name: found(plain, name)["predicted"] for name in POINTS}
    assert round(1e3 * watts["truenorth_20hz"], 2) == 70.62
    assert round(1e6 * watts["odin_75mhz"], 1) == 476.9
    assert round(1e6 * watts["odin_1mhz3"], 2) == 35.09
    knn = found(plain, "knn")
    assert [round(1e3 * end, 3) for end in knn["range"]] == [1.449, 1.599]
    assert knn["predicted"] == sum(knn["range"]) / 2
    errors = [end / 1.33e-3 - 1 for end in found(plain, "knn_sanafe")["range"]]
    assert [round(100 * error) for error in errors] == [54, 71]


def test_an_error_is_signed_and_the_largest_one_is_of_the_worse_end(plain):
    assert found(plain, "truenorth_20hz")["error"] == pytest.approx(70.6175 / 71 - 1, abs=1e-6)
    assert found(plain, "odin_1mhz3")["error"] == pytest.approx(35.0935 / 35 - 1, abs=1e-6)
    assert plain["summary"]["largest_error"] == pytest.approx(1.598976 / 1.33 - 1)


def test_events_of_one_kind_add_up():
    point, said = POINTS["truenorth_20hz"]
    twice = point.model_copy(update={"events": point.events * 2})
    chip = backends.find_chip(said.chip)
    static = float(chip.static_power.value)
    dynamic = predict(point, chip).value - static
    assert predict(twice, chip).value == pytest.approx(static + 2 * dynamic)


def test_a_range_of_counts_widens_the_interval():
    point, said = POINTS["knn"]
    chip = backends.find_chip(said.chip)
    column = chip.costs[point.column]
    prediction = predict(point, chip)
    share = float(column.uncertainty.value)
    assert prediction.interval[0] == pytest.approx(prediction.between[0] * (1 - share))
    assert prediction.interval[1] == pytest.approx(prediction.between[1] * (1 + share))


def test_static_power_has_an_interval_of_its_own():
    point, said = POINTS["odin_1mhz3"]
    chip = backends.find_chip(said.chip)
    sure = chip.static_power.model_copy(update={"plus_minus": (0.0, 0.0)})
    wide = predict(point, chip).interval
    tight = predict(point, chip.model_copy(update={"static_power": sure})).interval
    power, dynamic = 27.3e-6 + 1.3 * 1.78e-6, 650e3 * 8.43e-12
    share = float(chip.costs["frenkel2019"].uncertainty.value)
    assert tight == pytest.approx((power + dynamic * (1 - share), power + dynamic * (1 + share)))
    assert wide[0] < tight[0] < tight[1] < wide[1]


@pytest.mark.parametrize("steps", [1000, 128])
def test_the_totals_of_sana_fe_follow_from_its_counts(plain, steps):
    point = found(plain, f"sanafe_dvs_{steps}")
    assert abs(point["error"]) < 1e-6
    assert not point["counted"]


def test_the_points_of_sana_fe_are_what_it_printed(cases):
    for steps in (1000, 128):
        said = json.loads((cases / "sanafe_dvs" / f"sanafe_dvs_{steps}.json").read_text())
        run = said["simple"]
        point, _ = POINTS[f"sanafe_dvs_{steps}"]
        counts = {each.kind: each.between[0] for each in point.events}
        assert point.published == run["energy"]["total"]
        assert counts["synaptic_op"] == run["spikes"]
        assert counts["packet"] == run["packets_sent"]
        assert counts["soma_update"] == run["neurons_updated"]
        assert counts["spike_out"] == run["neurons_fired"]
        neurons = sum((1024, 3600, 5408, 7744, 891, 11))
        assert counts["soma_access"] == neurons * run["timesteps_executed"]


# ---- what counts


@pytest.mark.parametrize("name", POINTS)
def test_a_point_that_something_was_fitted_on_does_not_count(plain, name):
    point, said = POINTS[name]
    fitted = [
        constant
        for fit in said.fits
        if fit.column == point.column and name in fit.points
        for constant in fit.constants
    ]
    told = found(plain, name)
    assert told["fitted"] == fitted
    if fitted:
        assert not told["counted"]
        assert all(constant in told["why_not_counted"] for constant in fitted)


def test_only_measurements_within_the_claim_of_the_column_count_and_each_once(plain):
    counted = {point["name"] for point in plain["points"] if point["counted"]}
    assert counted == {"knn", "odin_1mhz3", "truenorth_20hz"}
    for point in plain["points"]:
        assert point["counted"] == (not point["why_not_counted"])
        if point["counted"]:
            assert point["obtained"] == "measured"


def test_every_counted_point_lies_inside_an_interval_of_at_most_a_quarter(plain):
    for point in plain["points"]:
        if point["counted"]:
            assert point["interval"][0] <= point["published"] <= point["interval"][1], point["name"]
            assert point["half_width"] <= 0.25, point["name"]
    assert plain["summary"]["inside"] == plain["summary"]["counted"] == 3
    assert plain["summary"]["outside"] == []


def test_a_measured_point_that_is_missed_is_named_although_it_does_not_count(plain):
    missed = plain["summary"]["not_counted_outside"]
    assert missed == ["knn_sanafe", "truenorth_0v70_silent", "truenorth_1v05_busy"]
    assert all(not found(plain, name)["inside"] for name in missed)


def test_a_note_says_where_the_width_was_chosen_knowing_the_point(plain):
    knew = {
        (said.chip, fit.column, name)
        for said in FILES.values()
        for fit in said.fits
        for name in fit.width_knew
    }
    for point in plain["points"]:
        known = (point["chip"], point["column"], point["name"]) in knew
        assert (KNEW in point["note"]) == (known and not point["fitted"])
    assert all(KNEW in found(plain, name)["note"] for name in ("knn", "truenorth_20hz"))


def test_the_result_has_the_keys_that_machines_read(plain):
    assert set(plain) == {"points", "not_reproduced", "fits", "summary"}
    assert all(set(point) >= KEYS for point in plain["points"])
    assert all(
        set(row) >= {"name", "published", "why", "source"} for row in plain["not_reproduced"]
    )
    fits = {"chip", "column", "constants", "fitted_on", "source"}
    assert all(set(row) >= fits for row in plain["fits"])
    assert set(plain["summary"]) >= {"counted", "inside", "largest_error"}
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain


def test_a_sum_over_no_counted_point_has_no_error():
    assert summary([])["largest_error"] is None


# ---- one path: the chip's own file


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("truenorth_20hz", "synaptic_op"),
        ("odin_1mhz3", "crossbar_op"),
        ("knn", "soma_access"),
        ("sanafe_dvs_1000", "hop_east_west"),
        ("sanafe_dvs_1000", "hop_north_south"),
        ("sanafe_dvs_1000", "spike_out"),
        ("sanafe_dvs_1000", "packet"),
    ],
)
def test_a_changed_figure_in_a_chip_moves_the_prediction_by_exactly_its_term(name, kind):
    point, said = POINTS[name]
    chip = backends.find_chip(said.chip)
    before = predict(point, chip).value
    after = predict(point, with_figure(chip, point.column, kind, 3.0)).value
    count = sum(sum(each.between) / 2 for each in point.events if each.kind == kind)
    assert count > 0
    term = count * float(chip.costs[point.column].figures[kind].value)
    assert after - before == pytest.approx(2 * term, rel=1e-6)


def test_a_wrong_figure_makes_a_counted_point_miss():
    point, said = POINTS["truenorth_20hz"]
    chip = with_figure(backends.find_chip("truenorth"), "akopyan2015", "synaptic_op", 5.0)
    told = judged(point, said, chip)
    assert told["counted"]
    assert not told["inside"]
    assert summary([told])["outside"] == ["truenorth_20hz"]


def test_a_figure_that_is_missing_is_refused_and_not_free():
    point, said = POINTS["knn"]
    chip = backends.find_chip(said.chip)
    column = chip.costs["davies2018"]
    figures = {kind: each for kind, each in column.figures.items() if kind != "soma_access"}
    costs = {"davies2018": column.model_copy(update={"figures": figures})}
    with pytest.raises(ChipError, match="no figure for soma_access"):
        predict(point, chip.model_copy(update={"costs": costs}))


@pytest.mark.parametrize("name", ["odin_75mhz", "truenorth_20hz"])
def test_a_static_power_that_is_missing_is_refused_and_not_nothing(name):
    point, said = POINTS[name]
    chip = backends.find_chip(said.chip)
    with pytest.raises(ChipError, match="no power"):
        predict(point, chip.model_copy(update={"static_power": None, "facts": {}}))


def test_counts_hold_no_copy_of_a_figure():
    for said in FILES.values():
        figures = {
            f"{float(figure.value):g}"
            for column in backends.find_chip(said.chip).costs.values()
            for figure in column.figures.values()
            if figure.value
        }
        for point in said.points:
            factors = [v for each in point.events for v in each.factors.values()]
            assert not figures & {f"{v:g}" for v in factors if not isinstance(v, tuple)}


# ---- hostile files

GOOD = """
chip: odin
points:
  - name: one
    title: "a point"
    column: frenkel2019
    unit: W
    published: 1.0
    obtained: measured
    conditions: "some"
    events: [{kind: crossbar_op, factors: {spikes: [1, 2], rows: 256}}]
    source: "invented"
"""


def test_a_small_file_of_points_is_read(tmp_path):
    (tmp_path / "good.yaml").write_text(GOOD)
    (point,) = read_published(tmp_path / "good.yaml").points
    assert point.events[0].between == (256, 512)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("kind: crossbar_op", "kind: crossbar_opp", "is no event kind"),
        ("[1, 2]", "[2, 1]", "lower end first"),
        ("[1, 2]", "-1", "lower end first"),
        ("[1, 2]", ".inf", "finite"),
        ("[1, 2]", "1.0e+300", "there are"),
        ("[1, 2]", '"7"', "valid"),
        ("[1, 2]", "!!python/object:os.system 1", "tag"),
        ("published: 1.0", "published: 0.0", "greater than 0"),
        ("published: 1.0", "published: .nan", "finite"),
        ("unit: W", "unit: pJ", "'J' or 'W'"),
        ("unit: W", "unit: J\n    static: {static_power: 1}", "point in W"),
        ("unit: W", "unit: W\n    static: {static_power: 0}", "more than 0 times"),
        ("unit: W", "unit: W\n    predicted: 3", "Extra inputs"),
        ("unit: W", "unit: W\n    same_as: two", "no point is called two"),
        ("obtained: measured", "obtained: guessed", "'measured' or 'simulated'"),
        ("[{kind: crossbar_op, factors: {spikes: [1, 2], rows: 256}}]", "[]", "nothing to predict"),
        ('source: "invented"', 'source: ""', "source"),
        ("name: one", 'name: "<b>"', "name"),
        ("chip: odin", "chip: &x odin", "anchors"),
        ("chip: odin", "chip: odin\nfits: [{column: a, constants: [b], points: [two], "
         "on: \"somewhere\", source: \"invented\"}]", "no point is called two"),
    ],
)  # fmt: skip
def test_a_hostile_file_of_points_is_refused(tmp_path, old, new, why):
    assert GOOD.count(old) == 1
    (tmp_path / "bad.yaml").write_text(GOOD.replace(old, new))
    with pytest.raises(DataError, match="is not a file of published points") as caught:
        read_published(tmp_path / "bad.yaml")
    assert why in str(caught.value)


def test_two_points_of_one_name_are_refused(tmp_path):
    point = GOOD[GOOD.index("  - name") :]
    (tmp_path / "bad.yaml").write_text(GOOD + point)
    with pytest.raises(DataError, match="two points have one name"):
        read_published(tmp_path / "bad.yaml")


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(DataError, match="cannot read a file of published points"):
        read_published(tmp_path / "none.yaml")


def test_the_shipped_files_are_named_after_their_chips():
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(FILES)


def test_a_product_of_factors_is_a_range_where_one_factor_is():
    events = Events(kind="synaptic_op", factors={"spikes": (2.0, 3.0), "neurons": 10.0})
    assert events.between == (20.0, 30.0)
