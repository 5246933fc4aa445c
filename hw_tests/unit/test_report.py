"""The report says what the result holds, whatever the result holds."""

from __future__ import annotations

import doctest
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spikeport.pages import html as page
from spikeport.pages import markdown, plain, svg, units, verdict, write_report
from spikeport.pages.plain import finite

VOID = {"meta", "br", "hr", "img", "link", "input"}
DAVIES = "Davies et al., IEEE Micro 38(1):82-99, 2018, table 2 p.96"
FRADY = "Frady et al., NICE 2020, table 2: 0.19 mJ / 32 chips, per reset of one chip"
SANAFE = "SLAM-Lab/SANA-FE@8951ab0 arch/loihi.yaml, fitted on Nahuku boards (TCAD 2025)"
PER_EVENT = {
    "davies2018": {
        "soma_access": 52.0e-12, "soma_update": 29.0e-12, "synaptic_op": 23.6e-12,
        "packet": 1.7e-12, "hop_east_west": 3.0e-12, "state_reset": 5.94e-6,
    },
    "sanafe": {
        "soma_access": 51.2e-12, "soma_update": 21.6e-12, "spike_out": 69.3e-12,
        "synaptic_op": 35.5e-12, "packet": 111.0e-12, "hop_east_west": 3.0e-12,
        "state_reset": 5.94e-6,
    },
}  # fmt: skip
EVENTS = {
    "soma_access": {"1": 2160.0, "3": 270.0},
    "soma_update": {"1": 841.3, "3": 122.8},
    "spike_out": {"1": 260.4, "3": 31.2},
    "synaptic_op": {"1": 9_920.5, "3": 2_604.0},
    "packet": {"1": 260.4, "3": 0.0},
    "hop_east_west": {"1": 124.0, "3": 0.0},
    "state_reset": {"chip": 1.0},
}


def digits() -> dict[str, Any]:
    """Return a result like that of the digits network: 64 inputs, 80 hidden, 10 outputs."""
    ledger = {column: list(_ledger(column)) for column in PER_EVENT}
    columns = {
        "davies2018": _column("Davies 2018, table 2: pre-silicon simulation at 0.75 V", DAVIES,
                              ledger["davies2018"], 0.2),
        "sanafe": _column("SANA-FE: fitted to Loihi silicon (Nahuku)", SANAFE,
                          ledger["sanafe"], 0.12),
    }  # fmt: skip
    by_population: dict[str, float] = {}
    for entry in ledger["davies2018"]:
        name = entry["population"]
        by_population[name] = by_population.get(name, 0.0) + entry["joules_per_sample"]
    first = {
        "population": "1", "neuron": [41], "sample": 17, "step": 12, "variable": "spikes",
        "reference": 1, "emulator": 0, "cause": "tie at threshold",
    }  # fmt: skip
    return {
        "spikeport": "0.1.0",
        "graph": "digits.nir",
        "chip": {"name": "loihi1", "title": "Intel Loihi (2018)", "level": "oracle-equal"},
        "dt": 1e-4,
        "semantics": {
            "dt": 1e-4, "integration": "euler", "input_gain": "per_equation",
            "tau_unit": "seconds", "current_order": "decay_add_v", "reset": "to_value",
            "reset_when": "same_step", "spike": "binary", "threshold": "greater",
            "initial_v": None, "v_min": None, "refractory": 0.0,
            "recurrent_bias_at_start": True, "feedforward_lag": 0, "recurrent_lag": 1,
            "nodes": {"3": {"reset": "subtract"}}, "dialect": "snntorch",
        },
        "assumed": ["dt", "reset", "reset_when", "initial_v"],
        "repairs": ["node 1: v_reset was absent, taken as 0"],
        "notes": [
            "The biases of 0 and 2 are bias neurons whose first spike arrives at the lag.",
            "v of population 3 comes within 4 bits of its 24 on 2 of 540 samples.",
        ],
        "latency_steps": 2,
        "samples": 540,
        "steps": 25,
        "input": "spikes",
        "decode": "count",
        "stream": False,
        "accuracy": {
            "reference": 530 / 540, "emulator": 529 / 540, "lava": 1.0, "lava_samples": 20,
        },
        "parity": {
            "emulator_vs_reference": {
                "cells": 1_215_000, "different": 214, "first_difference": first,
                "populations": {
                    "1": {"cells": 1_080_000, "different": 203, "lag": 1,
                          "spikes_reference": 140_640, "spikes_emulator": 140_655,
                          "first_difference": first},
                    "3": {"cells": 135_000, "different": 11, "lag": 2,
                          "spikes_reference": 16_860, "spikes_emulator": 16_862,
                          "first_difference": {**first, "population": "3", "neuron": [4],
                                               "sample": 17, "step": 14}},
                },
            },
            "lava_vs_emulator": {
                "cells": 145_800, "different": 0, "first_difference": None, "samples": 20,
                "variables": ["spikes", "u", "v"],
                "populations": {"1": {"cells": 129_600, "different": 0},
                                "3": {"cells": 16_200, "different": 0}},
            },
            "wording": "equal to Lava 0.10 (software); not compared with silicon",
        },
        "resources": {
            "cores": 2, "compartments": 90, "synapses": 5_920,
            "synaptic_memory_bits": 51_968, "synaptic_memory_bits_fullest_core": 43_648,
            "in_axons": 146, "out_axons": 80,
        },
        "limits": {
            "cores": 128, "compartments_per_core": 1024, "in_axons_per_core": 4096,
            "out_axons_per_core": 4096, "synaptic_memory_bits_per_core": 1_048_576,
        },
        "mesh": {"tiles_x": 8, "tiles_y": 4, "cores_per_tile": 4},
        "cores": [
            {"core": 0, "tile_x": 0, "tile_y": 0, "compartments": 80, "in_axons": 65,
             "out_axons": 80, "synapses": 5_120, "synaptic_memory_bits": 43_648,
             "populations": {"1": 80}, "joules_per_sample": 3.9e-7},
            {"core": 1, "tile_x": 0, "tile_y": 0, "compartments": 10, "in_axons": 81,
             "out_axons": 0, "synapses": 800, "synaptic_memory_bits": 8_320,
             "populations": {"3": 10}, "joules_per_sample": 7.9e-8},
        ],
        "energy": {
            "column": "davies2018",
            **columns["davies2018"],
            "by_population": by_population,
            "ledger": ledger["davies2018"],
            "columns": columns,
            "static": "Static power is not included: no public figure gives it per core.",
            "sources": [DAVIES, SANAFE, FRADY],
        },
        "neurobench": {
            "Footprint": 6_856, "ConnectionSparsity": 0.0137, "ActivationSparsity": 0.931,
            "SynapticOperations": {"Effective_MACs": 0, "Effective_ACs": 12_524.5,
                                   "Dense": 148_000},
        },
        "losses": [
            {"object": "0", "what": "weights", "bits": 8, "exponent": -1, "error_rms": 0.00163,
             "error_max": 0.0029, "relative": 0.0081, "detail": "5 120 weights, 61 became 0"},
            {"object": "2", "what": "weights", "bits": 8, "exponent": 0, "error_rms": 0.00231,
             "error_max": 0.0041, "relative": 0.0064, "detail": "800 weights, 4 became 0"},
            {"object": "1", "what": "decay_v", "bits": 12, "exponent": None,
             "error_rms": 2.4e-5, "error_max": 2.4e-5, "relative": 0.00024,
             "detail": "beta 0.9 became 3686/4096"},
            {"object": "1", "what": "threshold", "bits": 17, "exponent": None,
             "error_rms": 0.0, "error_max": 0.0, "relative": 0.0, "detail": ""},
        ],
        "populations": [
            {"name": "1", "kind": "LIF", "shape": [80], "neurons": 80, "lag": 1,
             "reset": "to_value",
             "spikes_per_sample": {"reference": 260.44, "emulator": 260.47, "lava": 261.1}},
            {"name": "3", "kind": "LIF", "shape": [10], "neurons": 10, "lag": 2,
             "reset": "subtract",
             "spikes_per_sample": {"reference": 31.22, "emulator": 31.23, "lava": 31.4}},
        ],
        "backends": {
            "emulator": {"seconds": 0.31},
            "lava": {"ran": True, "seconds": 9.14, "version": "0.10.0",
                     "processes": ["LIF \N{MULTIPLICATION SIGN}1", "Sparse"],
                     "own_processes": ["LifSubtract"]},
        },
        "rasters": [raster("1", 80, 25, 0.13, lag=1, seed=1, differing=3),
                    raster("3", 10, 25, 0.13, lag=2, seed=2, differing=0)],
        "budget": None,
        "files": {"report_html": "report.html", "report_json": "report.json",
                  "report_md": "report.md"},
        "command": "spikeport deploy digits.nir --chip loihi1 --data digits.npz --out out",
    }  # fmt: skip


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


def _ledger(column: str) -> Iterator[dict[str, Any]]:
    for kind, joules in PER_EVENT[column].items():
        for population, events in EVENTS[kind].items():
            yield {
                "population": population, "kind": kind, "events_per_sample": events,
                "joules_per_event": joules, "joules_per_sample": events * joules,
                "source": FRADY if kind == "state_reset" else
                DAVIES if column == "davies2018" else SANAFE,
                "basis": "measured" if kind == "state_reset" else "simulated",
            }  # fmt: skip


def _column(title: str, source: str, ledger: list[dict[str, Any]], band: float) -> dict[str, Any]:
    by_kind: dict[str, float] = {}
    for entry in ledger:
        by_kind[entry["kind"]] = by_kind.get(entry["kind"], 0.0) + entry["joules_per_sample"]
    total = sum(by_kind.values())
    return {
        "title": title, "source": source, "joules_per_sample": total,
        "interval": [total * (1 - band), total * (1 + band)], "by_kind": by_kind,
    }  # fmt: skip


def raster(
    name: str, neurons: int, steps: int, rate: float, lag: int, seed: int, differing: int
) -> dict[str, Any]:
    """Return a recorded raster in which some neurons are busier than others."""
    rng = np.random.default_rng(seed)
    rates = np.minimum(rate * rng.exponential(1.0, neurons), 0.9)
    reference = rng.random((steps, neurons)) < rates
    chip = reference.copy()
    flipped = rng.choice(chip.size, differing, replace=False)
    chip.ravel()[flipped] ^= True

    def events(spikes: NDArray[np.bool_], shift: int) -> dict[str, list[int]]:
        step, neuron = np.nonzero(spikes)
        return {"step": (step + shift).tolist(), "neuron": neuron.tolist()}

    return {
        "population": name, "neurons": neurons, "steps": steps, "sample": 0, "label": 3,
        "reference": events(reference, 0), "emulator": events(chip, lag),
        "lava": events(chip, lag), "lag": lag,
    }  # fmt: skip


class Balanced(HTMLParser):
    """Notes every element and attribute, and every tag that closes what is not open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.ids: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


RESULTS = {"digits": digits, "hostile": hostile, "empty": empty, "silent": silent}


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
    assert [line[1 : line.index('": ')] for line in text.splitlines()[1:-1]] == list(digits())


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
