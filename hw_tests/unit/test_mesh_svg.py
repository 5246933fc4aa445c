"""The drawings of a chip: where cores are, how full, and where packets go."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikeport as sp
from spikeport import backends, on_chip
from spikeport.compiler.image import CoreUse, Image, Route, Slice
from spikeport.compiler.program import Program
from spikeport.compiler.state import State
from spikeport.compiler.traces import Traces
from spikeport.pages import cores, grid, held, html, mesh
from spikeport.pages.plain import finite, printable

DEMO = Path(__file__).resolve().parents[2] / "spikeport" / "demo"
LOIHI = backends.find_chip("loihi1")


def core(number: int, x: int, y: int, load: float, **more: Any) -> dict[str, Any]:
    return {"core": number, "chip": 0, "tile_x": x, "tile_y": y, "load": load} | more


def shape(tiles_x: int, tiles_y: int, per_tile: int, **more: Any) -> dict[str, Any]:
    return {"tiles_x": tiles_x, "tiles_y": tiles_y, "cores_per_tile": per_tile} | more


def link(start: tuple[int, int], end: tuple[int, int], packets: float) -> dict[str, Any]:
    return {"from": list(start), "to": list(end), "packets_per_sample": packets}


def program() -> Program:
    return Program(1e-3, {}, (), {}, {})


def on_two_chips() -> Image:
    """Three cores: two on the tiles of one chip, one on the next, and what they send."""
    chip = LOIHI.model_copy(update={"topology": LOIHI.topology})
    places = [0, 4 * LOIHI.topology.tiles_y.whole, LOIHI.cores]  # tiles (0, 0), (1, 0), (8, 0)

    def route(pre: str, source: int, target: int, neurons: list[int]) -> Route:
        size = len(neurons)
        return Route(
            pre, target, np.array(neurons), np.full(size, source), np.ones(size), np.zeros(size)
        )

    return Image(
        program(),
        chip,
        (Slice("a", np.arange(3), places[0]),),
        (
            route("a", places[0], places[1], [0, 1]),
            route("a", places[0], places[2], [2]),
            route("a", places[0], places[0], [0]),
            route("in", -1, places[0], [0]),
        ),
        tuple(
            CoreUse(p, p // chip.cores, *map(int, chip.tile(p)), 0, {"compartments": (3, 1024)})
            for p in places
        ),
        chips=2,
    )


def two_samples() -> Traces:
    """A run of which nothing but the counters matters here."""
    counters = {
        "a": {"spikes": np.array([[4, 2, 1], [6, 0, 3]])},
        "in": {"spikes": np.array([[10], [20]])},
    }
    nothing = State(0, {}, {})
    return Traces("emulator", 1e-3, 2, 9, 9, {}, {}, {}, counters, nothing, "a")


def test_packets_go_along_x_first_and_each_link_carries_their_sum():
    found = on_chip.mesh_of(on_two_chips(), two_samples(), 1)
    assert found["links"][0] == link((0, 0), (1, 0), 5 + 1 + 2)  # to both other cores
    assert [row["packets_per_sample"] for row in found["links"][1:]] == [2.0] * 7  # tile 1 to 8
    assert found["busiest"] == found["links"][0]
    assert found["hops_per_sample"] == 8 + 7 * 2
    assert found["within_tiles"] == 5.0
    assert found["from_host"] == 15.0
    assert found["chips"] == 2


def test_a_streamed_sample_has_its_share_of_the_traffic():
    whole, fifth = (on_chip.mesh_of(on_two_chips(), two_samples(), n) for n in (1, 5))
    assert fifth["hops_per_sample"] == pytest.approx(whole["hops_per_sample"] / 5)
    assert fifth["from_host"] == pytest.approx(whole["from_host"] / 5)


@pytest.mark.parametrize(
    ("start", "end", "tiles"),
    [((2, 1), (0, 3), [(1, 1), (0, 1), (0, 2), (0, 3)]), ((1, 1), (1, 1), []),
     ((0, 2), (1, 0), [(1, 2), (1, 1), (1, 0)])],
)  # fmt: skip
def test_a_way_turns_once(start, end, tiles):
    links = list(on_chip.way(start, end))
    assert [there for _, there in links] == tiles
    assert [here for here, _ in links] == [start, *tiles][: len(tiles)]


def test_hops_are_as_many_as_the_energy_counts():
    """The picture and the ledger are two ways of counting the same packets."""
    x = np.load(DEMO / "digits.npz")["x"][:4]
    small = LOIHI.core.model_copy(
        update={"compartments": LOIHI.core.compartments.model_copy(update={"value": 12})}
    )
    chip = LOIHI.model_copy(update={"core": small})
    net = sp.load(DEMO / "digits.nir", dialect="nir", dt=1e-4)
    result = sp.deploy(net, chip, x, backends_wanted=["emulator"])
    hops = sum(
        line["events_per_sample"]
        for line in result["energy"]["ledger"]
        if line["kind"].startswith("hop_")
    )
    assert hops > 0
    assert result["mesh"]["hops_per_sample"] == pytest.approx(hops)


def test_every_core_is_in_its_tile_with_its_load_and_what_it_holds():
    row = core(7, 1, 0, 0.25, compartments=256, axons=3, populations={"a": 256},
               limits={"compartments": 1024, "axons": None})  # fmt: skip
    drawn = mesh.draw(shape(2, 1, 4), [row], {})
    (only,) = drawn.cores
    assert (only.share, only.shade, only.label) == (0.25, 1, "25")
    assert only.title.replace("\u00a0", " ") == (
        "core 7 (tile 1, 0): 25 % full; a: 256; compartments 256 of 1 024; axons 3"
    )
    assert drawn.empty.count("M") == 7
    assert drawn.tiles.count("M") == 2
    left, right = drawn.grid.corner(1, 0)[0], drawn.grid.width
    assert left < only.x
    assert only.x + drawn.grid.core <= right


@pytest.mark.parametrize(("load", "shade", "label"), [
    (0.0, 0, "0"), (0.004, 0, "<1"), (0.19, 0, "19"), (0.2, 1, "20"), (0.999, 4, "100"),
    (1.0, 4, "100"), (1.3, 4, "130"),
])  # fmt: skip
def test_load_is_a_shade_and_a_number(load, shade, label):
    (only,) = mesh.draw(shape(1, 1, 1), [core(0, 0, 0, load)], {}).cores
    assert (only.shade, only.label) == (shade, label)


def test_a_report_without_loads_takes_them_from_the_limits():
    old = {"core": 0, "compartments": 512, "synaptic_memory_bits": 10}
    limits = {"cores": 1, "compartments_per_core": 1024, "synaptic_memory_bits_per_core": 100}
    assert mesh.load_of(old, limits) == 0.5


def test_width_follows_the_packets_and_the_busiest_link_is_named_and_last():
    rows = [link((0, 0), (1, 0), 10.0), link((1, 0), (0, 0), 40.0), link((1, 0), (1, 1), 20.0)]
    drawn = mesh.draw(shape(2, 2, 1, links=rows, busiest=rows[1], hops_per_sample=70.0,
                            within_tiles=3.0, from_host=0.0), [], {})  # fmt: skip
    assert [each.busiest for each in drawn.links] == [False, False, True]
    thin, middle, thick = (each.width for each in drawn.links)
    assert (thin, middle, thick) == (1 + 7 / 4, 1 + 7 / 2, 8.0)
    assert drawn.links[-1].title == "tile (1, 0) to (0, 0): 40 packets per sample"
    assert drawn.traffic == (
        "busiest link: tile (1, 0) to (0, 0), 40 packets per sample",
        "all links together: 70 packets times hops per sample",
        "3 packets per sample stay within a tile",
    )


def test_both_directions_of_a_link_are_beside_each_other():
    rows = [link((0, 0), (1, 0), 1.0), link((1, 0), (0, 0), 2.0)]
    drawn = mesh.draw(shape(2, 1, 1, links=rows, busiest=rows[1]), [], {})
    heights = {float(re.match(r"M\S+ (\S+)L", each.path)[1]) for each in drawn.links}
    assert len(heights) == 2


def test_of_a_large_system_only_the_used_part_is_drawn():
    rows = [link((100, 7), (101, 7), 1.0)]
    used = [core(0, 100, 7, 0.5), core(1, 103, 9, 0.5)]
    drawn = mesh.draw(shape(64, 64, 1, chips=4, links=rows, busiest=rows[0]), used, {})
    assert (drawn.grid.columns, drawn.grid.rows) == (4, 3)
    assert drawn.notes == ("the used 4 by 3 of 256 by 64 tiles are drawn",)
    assert [tick.label for tick in drawn.x_ticks] == ["100", "101", "102", "103"]
    assert all(0 <= each.x < drawn.grid.width for each in drawn.cores)


def test_chips_that_stand_beside_each_other_are_divided():
    drawn = mesh.draw(shape(4, 2, 1, chips=3), [], {})
    assert drawn.borders.count("M") == 2


def test_thousands_of_links_stay_few_and_small_cores_lose_their_numbers():
    rows = [link((x, y), (x + 1, y), float(x * y)) for x in range(63) for y in range(64)]
    drawn = mesh.draw(shape(64, 64, 1, links=rows, busiest=rows[-1]),
                      [core(n, n % 64, n // 64, 0.4) for n in range(4096)], {})  # fmt: skip
    assert len(drawn.links) == mesh.MAX_LINKS
    assert "links with less traffic are not drawn" in drawn.notes[-1]
    assert drawn.grid.width <= grid.WIDEST
    assert {each.label for each in drawn.cores} == {""}


def test_no_traffic_is_said_and_not_drawn():
    drawn = mesh.draw(shape(1, 1, 1, links=[], busiest=None), [core(0, 0, 0, 0.1)], {})
    assert drawn.links == ()
    assert drawn.traffic == ("no packet leaves its tile",)


def result_with(populations: dict[str, int]) -> dict[str, Any]:
    rows = [link((0, 0), (1, 0), 3.0)]
    return {
        "graph": "net", "mesh": shape(2, 1, 1, links=rows, busiest=rows[0], hops_per_sample=3.0),
        "limits": {"cores": 2, "neurons_per_core": 8, "axons_per_core": None},
        "resources": {"cores": 2, "chips": 1, "neurons": 6, "axons": 5, "fullest_core": 0.5},
        "cores": [
            core(0, 0, 0, 0.5, neurons=4, axons=5, limits={"neurons": 8, "axons": None},
                 populations=populations),
            core(1, 1, 0, 0.5, neurons=2, axons=0, limits={"neurons": 4, "axons": None}),
        ],
    }  # fmt: skip


def test_names_are_escaped_in_tooltips():
    nasty = '<script>"&'
    text = html.page(finite(result_with({nasty: 4})))
    assert nasty not in text
    assert "&lt;script&gt;&#34;&amp;: 4" in text


def test_the_page_has_a_row_per_resource_with_figure_and_limit():
    shown = printable(finite(result_with({})))
    rows = {row["name"]: (row["used"], row["limit"]) for row in cores.limit_rows(shown)}
    assert rows == {
        "cores": ("2", "2"), "neurons": ("4", "8"), "axons": ("5", "none published"),
    }  # fmt: skip
    text = html.page(shown)
    assert "none published" in text
    assert 'class="link busiest"' in text
    assert "Busiest link: tile (0, 0) to (1, 0), 3 packets per sample." in text


def test_the_fullest_core_is_the_largest_share_of_any_limit():
    rows = result_with({})["cores"] + [core(9, 0, 0, 0.9, neurons=9, limits={"neurons": 10})]
    assert held.fullest(rows) == ("neurons", 9, 10, 9)
    assert held.fullest([core(0, 0, 0, 0.0, axons=3, limits={"axons": None})]) is None


def busy_cores() -> list[dict[str, Any]]:
    """Three cores: one ends most steps, one a few, one none."""
    return [
        core(0, 0, 0, 0.1, seconds_per_step=7.0e-6, critical_share=0.75, populations={"a": 3}),
        core(1, 0, 0, 0.9, seconds_per_step=1.0e-6, critical_share=0.25),
        core(2, 1, 0, 0.5, seconds_per_step=3.0e-6, critical_share=0.0),
    ]


def test_the_map_of_time_is_shaded_by_work_and_outlines_who_ends_steps():
    drawn = mesh.draw(shape(2, 1, 2), busy_cores(), {}).busy
    shown = {each.title.split(":")[0]: each for each in drawn.cores}
    assert [(each.shade, each.label, each.critical) for each in shown.values()] == [
        (2, "3", False), (4, "7", True), (0, "1", True),
    ]  # fmt: skip
    assert drawn.cores[0] is shown["core 2"], "outlines are drawn over what has none"
    assert (drawn.unit, drawn.critical) == ("µs", 2)
    assert [limit.replace("\u00a0", " ") for limit in drawn.limits] == [
        "0 s", "1.4 µs", "2.8 µs", "4.2 µs", "5.6 µs",
    ]  # fmt: skip
    assert shown["core 0"].title.replace("\u00a0", " ") == (
        "core 0: 7 µs of work per step; ends 75 % of the steps; a"
    )


def test_a_core_is_at_the_same_place_on_every_map():
    drawn = mesh.draw(shape(2, 1, 2), busy_cores(), {})
    places = {(each.x, each.y) for each in drawn.cores}
    assert places == {(each.x, each.y) for each in drawn.busy.cores}
    assert len(places) == 3


def test_without_times_there_is_no_map_of_time():
    assert mesh.draw(shape(2, 1, 1), [core(0, 0, 0, 0.1)], {}).busy is None
    wrong = [core(0, 0, 0, 0.1, seconds_per_step="soon", critical_share=[])]
    assert mesh.draw(shape(2, 1, 1), wrong, {}).busy is None


def test_the_page_has_the_map_of_time_beside_the_others():
    result = result_with({})
    result["cores"][0] |= {"seconds_per_step": 7.0e-6, "critical_share": 1.0}
    text = html.page(finite(result))
    assert 'id="busy-title">Map of busy time per step' in text
    assert "2 cores are used, 1 of them end a step" in text
    assert 'class="core f4 critical"' in text
    assert "core 1: time not known" in text.replace("\u00a0", " ")
    assert "busy-title" not in html.page(finite(result_with({})))
