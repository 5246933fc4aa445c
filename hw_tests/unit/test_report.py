"""The report says what the result holds, whatever the result holds."""

from __future__ import annotations

import doctest
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hw_tests.results import digits, raster, timed
from hw_tests.well_formed import Balanced
from spikeport.pages import html as page
from spikeport.pages import markdown, plain, svg, units, verdict, write_report
from spikeport.pages.plain import finite


def hostile() -> dict[str, Any]:
    """Return a result with names that would like to be markup, and far too much of everything."""
    nasty = '<script>alert("1")</script>&\'|`*\n\u202e\x00\ud800 \u7e54\u5c64'
    result = digits()
    result["graph"] = nasty
    result["command"] = f"spikeport deploy {nasty}"
    result["chip"]["title"] = nasty
    result["assumed"] = [nasty, "reset"]
    result["notes"] = result["repairs"] = [nasty, "http://example.org/x.js"] * 500
    result["populations"] = [
        {**result["populations"][0], "name": f"{nasty}{i}", "shape": []} for i in range(3000)
    ]
    result["losses"] = [{**result["losses"][0], "object": nasty, "detail": nasty}] * 3000
    result["cores"] = [
        {"core": core, "tile_x": core // 4 % 8, "tile_y": core // 32, "compartments": 1024,
         "in_axons": 4096, "out_axons": 4097, "synapses": 10**6,
         "synaptic_memory_bits": 8_192 * core, "populations": {nasty: 1024},
         "joules_per_sample": None}
        for core in range(128)
    ]  # fmt: skip
    result["energy"]["sources"] = [nasty, *result["energy"]["sources"]]
    result["energy"]["by_population"] = {nasty: 1e-6, "zero": 0.0}
    result["energy"]["ledger"] = [{**result["energy"]["ledger"][0], "population": nasty}] * 5000
    result["semantics"]["nodes"] = {nasty: {"reset": nasty}}
    result["rasters"] = [raster(nasty, 1000, 100, 0.2, 3, 3, differing=2500)] * 18
    first = {
        "population": nasty, "neuron": [0, 1], "sample": 0, "step": 1, "variable": "v",
        "emulator": -8388608, "lava": 8388607,
    }  # fmt: skip
    result["parity"]["lava_vs_emulator"].update(different=7, first_difference=first)
    result["backends"]["lava"]["own_processes"] = [nasty]
    result["budget"] = {
        "passed": False,
        "items": [{"name": nasty, "old": 1.0, "new": 2.0, "limit": "<1.05x", "ok": False}],
    }
    result["accuracy"]["lava"] = float("nan")
    return result


def empty() -> dict[str, Any]:
    """Return a result with every key of the schema and nothing behind any of them."""
    return dict.fromkeys(digits())


def silent() -> dict[str, Any]:
    """Return a result of one sample without labels, spikes or Lava."""
    result = digits()
    result["samples"] = 1
    result["accuracy"] = {"reference": None, "emulator": None, "lava": None, "lava_samples": None}
    result["parity"]["lava_vs_emulator"] = None
    result["backends"]["lava"] = {"ran": False, "why": "no Python 3.10 was found"}
    result["rasters"] = [raster("1", 1, 1, 0.0, 0, 0, differing=0)]
    result["energy"].update(joules_per_sample=0.0, interval=[0.0, 0.0], by_kind={}, ledger=[])
    result["energy"]["columns"] = {
        "davies2018": {"title": "", "source": "", "joules_per_sample": 0.0,
                       "interval": [0.0, 0.0], "by_kind": {"packet": 0.0}},
    }  # fmt: skip
    return result


RESULTS = {
    "digits": digits, "timed": timed, "hostile": hostile, "empty": empty, "silent": silent,
}  # fmt: skip


@pytest.fixture(params=RESULTS, scope="module")
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp(request.param) / "not" / "there yet"
    write_report(RESULTS[request.param](), folder)
    return folder


def read(folder: Path, name: str) -> str:
    return (folder / name).read_text(encoding="utf-8")


def test_three_files_and_nothing_beside_them(written: Path) -> None:
    assert sorted(path.name for path in written.iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip


def test_the_page_is_well_formed_and_every_reference_in_it_leads_somewhere(written: Path) -> None:
    parsed = Balanced(read(written, "report.html"))
    assert parsed.wrong == []
    assert parsed.open == []
    assert len(set(parsed.ids)) == len(parsed.ids)
    for name, value in parsed.attributes:
        targets = value.split() if name == "aria-labelledby" else []
        targets += [value.removeprefix("#")] if name == "href" else []
        assert set(targets) <= set(parsed.ids)


def test_the_page_runs_nothing_and_loads_nothing(written: Path) -> None:
    text = read(written, "report.html")
    parsed = Balanced(text)
    assert parsed.tags.isdisjoint({"script", "iframe", "object", "link", "img", "form", "base"})
    assert "<script" not in text
    names = {name for name, _ in parsed.attributes}
    assert names.isdisjoint({"src", "srcset", "data", "style", "action", "xlink:href"})
    assert not [name for name in names if name.startswith("on")]
    style = text[text.index("<style>") : text.index("</style>")]
    assert not re.search(r"url\(|@import|https?:", style)


def test_the_files_stay_small_whatever_the_result_holds(written: Path) -> None:
    assert len(read(written, "report.html")) < 8_000_000
    assert len(read(written, "report.md")) < 20_000


def test_json_gives_the_result_back_in_its_order(written: Path) -> None:
    text = read(written, "report.json")
    again = json.loads(text, parse_constant=pytest.fail)
    assert finite(again) == again
    keys = [line[1 : line.index('": ')] for line in text.splitlines()[1:-1]]
    assert keys[: len(digits())] == list(digits())


def test_json_is_the_result_itself(tmp_path: Path) -> None:
    write_report(digits(), tmp_path)
    again = json.loads(read(tmp_path, "report.json"))
    assert again == digits()
    assert list(again) == list(digits())


def test_the_same_result_gives_the_same_bytes(tmp_path: Path) -> None:
    files = [write_report(digits(), tmp_path / name) for name in "ab"]
    assert files[0] == files[1] == digits()["files"]
    for name in files[0].values():
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_what_cannot_be_rendered_leaves_the_old_report_alone(tmp_path: Path) -> None:
    write_report(digits(), tmp_path)
    before = read(tmp_path, "report.html")
    with pytest.raises(ValueError, match="format code"):
        write_report({**digits(), "dt": "soon"}, tmp_path)
    assert read(tmp_path, "report.html") == before
    assert len(list(tmp_path.iterdir())) == 3


def test_the_summary_as_a_whole() -> None:
    shown = markdown.summary(finite(digits())).replace(units.SPACE, " ")
    assert shown == SUMMARY


def test_every_figure_of_the_summary_is_on_the_page_too() -> None:
    text = page.page(finite(digits()))
    figures = re.findall(r"\d+\.\d+", markdown.summary(finite(digits())))
    assert [figure for figure in figures if figure not in text] == []


def test_markup_in_names_is_shown_and_not_obeyed(tmp_path: Path) -> None:
    write_report(hostile(), tmp_path)
    assert "&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;" in read(tmp_path, "report.html")
    summary = read(tmp_path, "report.md")
    assert "<" not in summary
    assert "\u202e" not in summary
    assert "\u7e54\u5c64" in summary
    rows = [
        re.sub(r"\\\|", "", line).count("|") for line in summary.splitlines() if line[0:1] == "|"
    ]
    assert set(rows) <= {3, 4, 5, 6}


def test_a_first_difference_is_named_in_the_verdict() -> None:
    found = verdict.bits(plain.printable(finite(hostile())))
    assert (found.state, found.headline) == ("bad", "7 cells differ")
    assert "v = \N{MINUS SIGN}8\u00a0388\u00a0608 in emulator" in found.lines[1]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("digits", "equal to Lava 0.10 (software); not compared with silicon"),
        ("hostile", "different from Lava 0.10 (software); not compared with silicon"),
        ("silent", "in this run not compared with Lava 0.10 (software); "
                   "not compared with silicon"),
    ],
)  # fmt: skip
def test_equality_with_lava_is_claimed_only_where_it_was_seen(name: str, said: str) -> None:
    result = plain.printable(finite(RESULTS[name]()))
    assert verdict.standing(result) == said
    assert f"<p>{said[0].upper()}{said[1:]}. Every figure" in page.page(result)
    assert ("equal to lava 0.10" in page.page(result).lower()) == (name == "digits")


def test_lava_that_did_not_run_is_said_to_be_not_run(tmp_path: Path) -> None:
    write_report(silent(), tmp_path)
    for name in ("report.html", "report.md"):
        assert "not run" in read(tmp_path, name)
        assert "no Python 3.10 was found" in read(tmp_path, name)
        assert "not compared with silicon" in read(tmp_path, name)
        assert "not measured" in read(tmp_path, name).lower()


def unpriced() -> dict[str, Any]:
    """Return a result on a chip for which no energy is published."""
    result = digits()
    result["energy"] = {
        "known": False, "why": "no energy per event has been published for x",
        "static": "Dynamic energy only; static power is not known.",
    }  # fmt: skip
    return result


def test_an_unknown_energy_is_said_to_be_unknown_with_the_reason(tmp_path: Path) -> None:
    write_report(unpriced(), tmp_path)
    found = verdict.energy(plain.printable(finite(unpriced())))
    assert (found.state, found.headline) == ("absent", "unknown")
    page_, summary = (read(tmp_path, name) for name in ("report.html", "report.md"))
    assert "Unknown: no energy per event has been published for x." in page_
    assert "## Energy\nUnknown: no energy per event has been published for x." in summary
    assert "No energy was estimated" not in page_
    assert json.loads(read(tmp_path, "report.json"))["energy"]["known"] is False


def test_what_is_in_no_sum_is_named_on_the_page() -> None:
    result = digits()
    result["energy"]["left_out"] = ["synaptic_op"]
    assert "in no sum, because the figure is unverified: synaptic op." in page.page(finite(result))


def test_the_raster_lays_the_chip_over_the_reference() -> None:
    drawn = svg.raster(
        {
            "neurons": 2, "steps": 100, "lag": 1,
            "reference": {"step": [0, 1], "neuron": [0, 1]},
            "emulator": {"step": [1, 3, 0], "neuron": [0, 0, 1]},
        }
    )  # fmt: skip
    assert drawn.reference == "M0 0.5h1"
    assert drawn.chip == "M0.25 0.5h0.5"
    assert drawn.only_reference == "M1 1h1v1h-1z"
    assert drawn.only_chip == "M2 0h1v1h-1z"
    assert drawn.notes == ("1 spike of the chip outside of the window",)


def test_a_large_raster_is_thinned_out_and_says_so() -> None:
    drawn = svg.raster(raster("x", 5000, 400, 0.1, 3, 3, differing=500))
    assert drawn.notes[0].startswith("400 of 5\u00a0000 neurons are shown")
    assert re.fullmatch(
        r"[\d\xa0]+ of [\d\xa0]+ events are drawn, evenly thinned out", drawn.notes[1]
    )
    assert drawn.reference.count("M") + drawn.chip.count("M") <= svg.MAX_EVENTS
    assert drawn.missing + drawn.extra == 500
    assert drawn.only_reference.count("M") + drawn.only_chip.count("M") > 300


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "\N{EN DASH}"), (0.0, "0 J"), (5.94e-6, "5.94 \u00b5J"), (999.9e-9, "1 \u00b5J"),
        (1e-21, "0.001 aJ"), (1234.0, "1.23 kJ"), (-2e-3, "\N{MINUS SIGN}2 mJ"),
    ],
)  # fmt: skip
def test_quantities_have_three_figures_and_a_prefix(value: float | None, shown: str) -> None:
    assert units.si(value, "J").replace(units.SPACE, " ") == shown


@pytest.mark.parametrize(
    ("share", "shown"),
    [(0.0, "0 %"), (1e-7, "1e-05 %"), (0.99999, "99.99 %"), (1.0, "100 %"), (1.00001, "100.01 %")],
)
def test_a_share_is_not_rounded_to_nothing_or_to_all(share: float, shown: str) -> None:
    assert units.percent(share).replace(units.SPACE, " ") == shown


@pytest.mark.parametrize("module", [plain, svg, units, verdict, markdown])
def test_examples_in_the_docstrings_hold(module: Any) -> None:
    assert doctest.testmod(module).failed == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_from_every_surface_under_it(scheme: str) -> None:
    css = (Path(page.__file__).parent / "style.css").read_text(encoding="utf-8")
    roots = re.findall(r":root \{(.*?)\}", css, re.DOTALL)[: 1 if scheme == "light" else 2]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6})", " ".join(roots)))
    for name in ("text", "muted", "accent", "good", "fair", "bad"):
        for surface in ("ground", "surface", "sunken"):
            assert contrast(colours[name], colours[surface]) >= 4.5, (name, surface)
    for fill, name in zip("01234", ["low"] * 3 + ["high"] * 2, strict=True):
        assert contrast(colours[f"f{fill}"], colours[f"on-{name}"]) >= 4.5, fill


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours by WCAG 2.2."""
    levels = []
    for colour in (one, other):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        levels.append(float(linear @ [0.2126, 0.7152, 0.0722]))
    return (max(levels) + 0.05) / (min(levels) + 0.05)


SUMMARY = """\
# digits.nir on Intel Loihi (2018)

|  |  |  |
|---|---|---|
| \N{WHITE HEAVY CHECK MARK} Accuracy, reference → chip | **98.15 % → 97.96 %** | \
\N{MINUS SIGN}0.19 points on 540 samples; Lava: 100 % on 20 samples; spikes: 214 of 1 215 000 \
cells differ (0.02 %), at the known lags |
| \N{WHITE HEAVY CHECK MARK} Emulator and Lava | **equal bit for bit** | equal in 145 800 of 145 \
800 cells (spikes, u, v; 20 samples); equal to Lava 0.10 (software); not compared with silicon |
| \N{HIGH VOLTAGE SIGN} Energy per sample | **6.39 µJ** | 5.11 to 7.67 µJ by Davies 2018, table \
2: pre-silicon simulation at 0.75 V; most of it: state reset, 92.9 %; by sanafe: 6.58 µJ |

## Parity
* Chip and reference: 214 of 1 215 000 cells differ (0.02 %), at the known lags.
* First difference: 1\\[41\\], sample 17, step 12: spikes = 1 in reference, 0 in emulator (tie \
at threshold).
* Lava and emulator: equal in 145 800 of 145 800 cells (spikes, u, v; 20 samples); equal to Lava \
0.10 (software); not compared with silicon.

## Energy
| per sample | davies2018 (used) | sanafe |
|---|---|---|
| **all** | **6.39 µJ** | **6.58 µJ** |
| interval | 5.11 to 7.67 µJ | 5.79 to 7.37 µJ |
| soma access | 126 nJ | 124 nJ |
| soma update | 28 nJ | 20.8 nJ |
| synaptic op | 296 nJ | 445 nJ |
| packet | 443 pJ | 28.9 nJ |
| hop east west | 372 pJ | 372 pJ |
| state reset | 5.94 µJ | 5.94 µJ |
| spike out | \N{EN DASH} | 20.2 nJ |

## Resources
|  | used | of the limit |
|---|---|---|
| cores | 2 | 1.56 % of 128 |
| compartments | 90 |  |
| synapses | 5 920 |  |
| synaptic memory bits | 51 968 |  |
| synaptic memory bits fullest core | 43 648 | 4.16 % of 1 048 576 |
| in axons | 146 |  |
| out axons | 80 |  |
| recipe | the default one |  |
| latency | 2 steps |  |

## Assumed
dt = 100 µs, reset = to_value, reset_when = same_step, initial_v = not set (change with `--set \
FIELD=VALUE`)

## Notes
* The biases of 0 and 2 are bias neurons whose first spike arrives at the lag.
* v of population 3 comes within 4 bits of its 24 on 2 of 540 samples.

spikeport 0.1.0; all figures: `report.json`
"""
