"""The chip schema: what a description must hold, and one message with its name where it fails."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from spikeport.backends import CHIPS, chip_names, find_chip
from spikeport.compiler.errors import ChipError
from spikeport.compiler.figure import Figure, Range
from spikeport.compiler.load.chip import read_chip
from spikeport.compiler.load.plain_yaml import LARGEST_FILE

LOIHI1 = (CHIPS / "loihi1.yaml").read_text()


def refused(path: Path) -> ChipError:
    with pytest.raises(ChipError) as caught:
        read_chip(path)
    assert path.name in str(caught.value)
    return caught.value


def figures_of(value):
    """Yield every figure and range of a chip."""
    if isinstance(value, (Figure, Range)):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from figures_of(each)
    elif hasattr(value, "__pydantic_fields__"):
        for _, each in value:
            yield from figures_of(each)


@pytest.mark.parametrize("name", chip_names())
def test_every_figure_of_a_shipped_chip_has_unit_source_and_basis(name):
    figures = list(figures_of(find_chip(name)))
    assert len(figures) >= 8
    for figure in figures:
        assert len(figure.source) >= 10
        assert figure.basis
        assert isinstance(figure, Range) or figure.unit


def test_loihi1_is_128_cores_on_8_by_4_tiles():
    chip = find_chip("loihi1")
    assert (chip.cores, chip.level, chip.default_cost) == (128, "oracle-equal", "davies2018")
    assert [chip.tile(core) for core in (0, 3, 4, 15, 16, 127)] == [
        (0, 0), (0, 0), (0, 1), (0, 3), (1, 0), (7, 3),
    ]  # fmt: skip
    assert chip.core.index_bits == (0, 6, 7, 8, 9, 10, 11, 12)


def test_generic_graded_says_that_it_is_no_product_and_what_it_has_more():
    chip, loihi = find_chip("generic_graded"), find_chip("loihi1")
    assert "not a product" in chip.title
    assert chip.level == "estimate"
    assert chip.signals == ("binary", "count", "graded")
    assert chip.resets == ("to_value", "subtract", "subtract_snntorch", "none")
    assert (chip.message_bits, loihi.message_bits) == (16, 0)
    assert int(chip.limits.state_bits.value) == 32
    assert set(loihi.kinds) < set(chip.kinds)
    assert chip.costs[chip.default_cost].uncertainty.value >= 1.0  # another chip's figures


def test_a_chip_is_found_by_name_and_by_path(tmp_path):
    copy = tmp_path / "copy.yml"
    copy.write_text(LOIHI1)
    assert find_chip("loihi1") == find_chip(str(copy))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(ChipError) as caught:
        find_chip("loihi9")
    assert str(caught.value) == (
        f"unknown chip 'loihi9': known are {', '.join(chip_names())}\n"
        "  fix: choose one of them, or give the path of a YAML file of your own"
    )


def in_place_of(old: str, new: str) -> str:
    assert old in LOIHI1
    return LOIHI1.replace(old, new, 1)


SOURCE = '\n    source: "128 cores / 32 tiles'
WRONG = {
    "an unknown key": (LOIHI1 + "colour: blue\n", "colour: Extra inputs are not permitted"),
    "an unknown key inside": (
        in_place_of("  decay_bits:\n", "  decay_bits:\n    colour: blue\n"),
        "limits.decay_bits.colour: Extra inputs are not permitted",
    ),
    "a missing key": (in_place_of("title: Intel Loihi (2018)\n", ""), "title: Field required"),
    "text for a number": (
        in_place_of("value: 8\n", 'value: "8"\n'),
        "topology.tiles_x.value.float: Input should be a valid number",
    ),
    "a word for a number": (in_place_of("value: 8\n", "value: eight\n"), "topology.tiles_x.value"),
    "a flag for a number": (in_place_of("value: 8\n", "value: true\n"), "topology.tiles_x.value"),
    "a number for text": (in_place_of("unit: tiles", "unit: 8"), "topology.tiles_x.unit"),
    "a broken number": (in_place_of("high: 62", "high: 62.5"), "limits.delay_steps.high"),
    "no source": (
        in_place_of("    unit: cores\n", "    unit: cores\n    sourc: none\n").replace(
            SOURCE, '\n    #ource: "', 1
        ),
        "topology.cores_per_tile.source: Field required",
    ),
    "an empty source": (
        in_place_of('source: "lava-nc 0.10.0 proc/lif/models.py"', 'source: ""'),
        "limits.decay_bits.source: String should have at least 4 characters",
    ),
    "an unknown basis": (in_place_of("basis: run", "basis: guessed"), "basis"),
    "NaN": (in_place_of("value: 52.0e-12", "value: .nan"), "finite number"),
    "infinity": (in_place_of("value: 1024", "value: .inf"), "finite number"),
    "no compartments": (
        in_place_of("value: 1024", "value: 0"),
        "compartments is 0, not a whole number >= 1",
    ),
    "words of no bits": (
        in_place_of("value: 64\n    unit: bit", "value: 0\n    unit: bit"),
        "word_bits is 0, not a whole number >= 1",
    ),
    "half a tile": (in_place_of("value: 8\n", "value: 0.5\n"), "tiles_x is 0.5"),
    "a range upside down": (in_place_of("high: 62", "high: 0"), "low 1 is above high 0"),
    "a default column that is not there": (
        in_place_of("default_cost: davies2018", "default_cost: davies2021"),
        "default_cost is 'davies2021', the costs are davies2018, sanafe",
    ),
    "a misspelt event": (
        in_place_of("      synaptic_op:\n", "      synaptic_opp:\n"),
        "synaptic_opp is no event kind; known are soma_access",
    ),
    "a key twice": (in_place_of("level:", "name: again\nlevel:"), "duplicate key"),
    "a tag": (in_place_of("name: loihi1", "name: !!python/name:os.system x"), "the YAML tag"),
    "a tag of ours": (in_place_of("name: loihi1", "name: !chip loihi1"), "the YAML tag"),
    "an anchor": (in_place_of("name: loihi1", "name: &a loihi1"), "anchors and aliases"),
    "an alias": (in_place_of("signals: [binary]", "signals: *a"), "anchors and aliases"),
    "no mapping": ("- 1\n- 2\n", "valid dictionary or instance of Chip"),
    "nothing": ("", "valid dictionary or instance of Chip"),
    "no YAML": ("name: [1, 2\nkinds", "YAML: line 2: expected ',' or ']'"),
    "very deep": ("[" * 100_000, "it is nested more than 12 deep"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_description_is_refused_with(what, tmp_path):
    text, words = WRONG[what]
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    error = refused(path)
    assert error.what == "mine.yaml is not a chip description"
    assert words in error.why
    assert len(str(error)) < 600


def test_all_faults_are_counted(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(in_place_of("value: 8\n", "value: eight\n").replace("value: 64", "value: x"))
    assert "more)" in refused(path).why


@pytest.mark.parametrize("number", ["1e3", "1.0e+3", "1_000.0", "1000"])
def test_a_number_in_any_spelling_is_a_number(number, tmp_path):
    """YAML 1.1 readers take 1e3 for text."""
    path = tmp_path / "mine.yaml"
    path.write_text(in_place_of("value: 1024", f"value: {number}"))
    assert read_chip(path).core.compartments.value == 1000


def test_a_billion_laughs_are_not_expanded(tmp_path):
    levels = "\n".join(f"a{k + 1}: &a{k + 1} [{f'*a{k},' * 9}]" for k in range(9))
    path = tmp_path / "laughs.yaml"
    path.write_text("a0: &a0 [ha]\n" + levels)
    assert "anchors and aliases" in refused(path).why


def test_a_file_that_is_too_large_is_not_parsed(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_text("#" * (LARGEST_FILE + 1))
    assert "too large" in refused(path).what


def test_bytes_that_are_not_text_are_refused(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes("name: Zürich".encode("latin1"))
    assert refused(path).why == "it is not UTF-8 text"


def test_a_folder_a_pipe_and_nothing_are_refused(tmp_path):
    import os

    (tmp_path / "folder.yaml").mkdir()
    os.mkfifo(tmp_path / "pipe.yaml")
    assert "not a file" in refused(tmp_path / "folder.yaml").why
    assert "not a file" in refused(tmp_path / "pipe.yaml").why
    assert "No such file" in refused(tmp_path / "missing.yaml").why


def test_what_is_in_the_file_is_what_is_in_the_chip():
    raw, chip = YAML(typ="safe").load(LOIHI1), find_chip("loihi1")
    for name, figure in raw["limits"].items():
        assert getattr(chip.limits, name).model_dump(exclude_defaults=True) == figure
    for name, figure in raw["core"].items():
        held = getattr(chip.core, name)
        plain = {"fabric": "lists", "index_bits": (0, 6, 7, 8, 9, 10, 11, 12)}.get(name)
        assert (plain or held.model_dump(exclude_defaults=True)) == (held if plain else figure)
    for column, content in raw["costs"].items():
        for event, figure in content["figures"].items():
            assert chip.costs[column].figures[event].model_dump(exclude_defaults=True) == figure
