"""`spikeport chips`: the list, one chip with every figure, a copy to start from, the schema."""

from __future__ import annotations

import json
import re
import sys
from itertools import pairwise
from pathlib import Path

import nir
import numpy as np
import pytest
from ruamel.yaml import YAML

from hw_tests.bench.chips_table import library, schema_text
from spikeport import backends
from spikeport.cli import main, new_chip
from spikeport.compiler.chip import Chip
from spikeport.compiler.cost_column import EVENTS, Points
from spikeport.compiler.figure import Fact, Figure, Range, Row
from spikeport.compiler.load.chip import read_chip

ROOT = Path(__file__).resolve().parents[2]
NAMES = backends.chip_names()
UNVERIFIED = "basis: code", "basis: unverified"


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder with a small network in it."""
    one, zero = np.ones(2), np.zeros(2)
    nodes = {
        "input": nir.Input({"input": np.array([2])}),
        "fc": nir.Affine(np.eye(2), np.zeros(2)),
        "lif": nir.LIF(0.01 * one, 10 * one, zero, one, v_reset=zero),
        "output": nir.Output({"output": np.array([2])}),
    }  # fmt: skip
    nir.write(tmp_path / "net.nir", nir.NIRGraph(nodes, list(pairwise(nodes))))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def spikeport(monkeypatch, capsys, words: str) -> tuple[int, str, str]:
    monkeypatch.setattr(sys, "argv", ["spikeport", *words.split()])
    with pytest.raises(SystemExit) as ended:
        main()
    said = capsys.readouterr()
    return ended.value.code or 0, said.out, said.err


def test_the_list_has_every_chip_with_its_level_and_whether_its_energy_is_known(
    monkeypatch, capsys
):
    _, text, _ = spikeport(monkeypatch, capsys, "chips")
    _, plain, _ = spikeport(monkeypatch, capsys, "chips --json")
    rows = {row["name"]: row for row in json.loads(plain)}
    assert list(rows) == NAMES
    for name, row in rows.items():
        chip = backends.find_chip(name)
        assert row["energy"] == bool(chip.costs)
        assert (row["level"], row["cores"], row["arithmetic"], tuple(row["kinds"])) == (
            chip.level, chip.cores, chip.arithmetic, chip.kinds,
        )  # fmt: skip
        energy = "known" if chip.costs else "unknown"
        time = "known" if any(c.time for c in chip.costs.values()) else "unknown"
        said = rf"^{name} +{chip.level} +{chip.cores} +{chip.arithmetic} +{energy} +{time} "
        assert re.search(said, text, re.MULTILINE)
        assert f"runs {', '.join(chip.kinds)}" in text


def of_time(time):
    """Yield what a column states of times."""
    for _, value in time or ():
        if isinstance(value, Figure | Points):
            yield value
        elif isinstance(value, dict):
            yield from value.values()


@pytest.mark.parametrize("name", NAMES)
def test_one_chip_shows_every_figure_with_unit_source_and_basis(name, monkeypatch, capsys):
    _, plain, _ = spikeport(monkeypatch, capsys, f"chips {name} --json")
    shown = json.loads(plain)
    chip = backends.find_chip(name)
    stated = [
        value
        for part in (chip.topology, chip.limits, chip.core, *([chip] if chip.static_power else []))
        for _, value in part
        if isinstance(value, Figure | Range | Row)
    ]
    stated += [f for c in chip.costs.values() for f in (c.uncertainty, *c.figures.values())]
    stated += [f for c in chip.costs.values() for f in of_time(c.time)]
    stated += [fact for fact in chip.facts.values() if isinstance(fact, Fact)]
    assert len(shown["figures"]) == len(stated)
    assert {row["source"] for row in shown["figures"]} == {each.source for each in stated}
    assert all(row["verified"] == (row["basis"] != "unverified") for row in shown["figures"])

    _, text, _ = spikeport(monkeypatch, capsys, f"chips {name}")
    unverified = sum(each.basis == "unverified" for each in stated)
    assert text.count("[UNVERIFIED:") == unverified
    assert ("energy: unknown (nothing published)" in text) == (not chip.costs)


def test_a_chip_of_ones_own_is_shown_by_path(here, monkeypatch, capsys):
    text = (backends.CHIPS / "loihi1.yaml").read_text().replace("name: loihi1", "name: mine")
    Path("mine.yaml").write_text(text.replace(*UNVERIFIED, 1))
    code, out, _ = spikeport(monkeypatch, capsys, "chips mine.yaml")
    assert code == 0
    assert out.startswith("mine: Intel Loihi (2018) (oracle-equal), 128 cores\n")
    assert out.count("[UNVERIFIED:") == 1


@pytest.mark.parametrize("source", NAMES)
def test_a_new_chip_is_the_old_one_under_a_new_name_and_claims_no_test(
    source, here, monkeypatch, capsys
):
    code, out, _ = spikeport(monkeypatch, capsys, f"chips new mine --from {source}")
    assert (code, out) == (
        0, "wrote mine.yaml: edit it, then spikeport check NET.nir --chip mine.yaml\n",
    )  # fmt: skip
    old, new = backends.find_chip(source), read_chip(Path("mine.yaml"))
    assert (new.name, new.title) == ("mine", f"mine (from {old.title})")
    assert new.level == ("estimate" if old.level == "oracle-equal" else old.level)
    same = {"name": old.name, "title": old.title, "level": old.level}
    assert new.model_copy(update=same) == old


def test_the_copy_is_commented_and_check_takes_it(here, monkeypatch, capsys):
    spikeport(monkeypatch, capsys, "chips new mine --from loihi1 --out own.yaml")
    text = Path("own.yaml").read_text()
    assert text.startswith("# mine: a description of a chip, begun as a copy of loihi1.\n")
    assert "  # Neurons of a core.\n  compartments:\n" in text
    assert "# Neuron kinds (NIR names) that it runs.\nkinds: [" in text
    assert all(len(line) <= 100 for line in text.splitlines() if line.lstrip().startswith("#"))
    code, out, _ = spikeport(monkeypatch, capsys, "check net.nir --chip own.yaml")
    assert code == 0
    assert out.startswith("net.nir fits mine: 1 core, 2 compartments, ")


def test_a_copy_of_a_copy_works(here, monkeypatch, capsys):
    spikeport(monkeypatch, capsys, "chips new first")
    code, _, _ = spikeport(monkeypatch, capsys, "chips new second --from first.yaml")
    assert code == 0
    assert read_chip(Path("second.yaml")).name == "second"
    comments = [
        line for line in Path("second.yaml").read_text().splitlines() if "Neurons of" in line
    ]
    assert len(comments) == 1, "comments are not doubled"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("chips new", "the new chip has no name"),
        ("chips new loihi1", "the chip 'loihi1' is shipped already"),
        ("chips new all", "'all' is a word of the commands"),
        ("chips new ../up", "'../up' is no name for a chip"),
        ("chips new Mine", "'Mine' is no name for a chip"),
        ("chips new mine --from loihi9", "unknown chip 'loihi9'"),
        ("chips new mine --from net.nir", "unknown chip 'net.nir'"),
        ("chips new mine --out there.yaml", "there.yaml exists: nothing is ever overwritten"),
        ("chips new mine --out mine.txt", "mine.txt is no YAML file by its name"),
        ("chips new mine --out no/mine.yaml", "the folder no does not exist"),
        ("chips loihi9", "unknown chip 'loihi9'"),
        ("chips loihi1 mine", "a NAME or --out goes with new"),
        ("chips --out x.yaml", "a NAME or --out goes with new"),
    ],
)
def test_what_is_wrong_is_one_message_and_nothing_is_written(
    words, said, here, monkeypatch, capsys
):
    Path("there.yaml").write_text("mine")
    before = {path: path.read_bytes() for path in here.iterdir()}
    code, out, error = spikeport(monkeypatch, capsys, words)
    assert code == 2
    assert out == ""
    assert error.count("error:") == 1
    assert said in error
    assert {path: path.read_bytes() for path in here.iterdir()} == before


def test_the_schema_describes_the_files_that_are_shipped(monkeypatch, capsys):
    """Each key of each shipped file is a property where it stands; no other key is allowed."""
    _, out, _ = spikeport(monkeypatch, capsys, "chips schema")
    schema = json.loads(out)
    assert schema["additionalProperties"] is False
    assert set(schema["required"]) <= set(Chip.model_fields)
    for name in NAMES:
        content = YAML(typ="safe").load((backends.CHIPS / f"{name}.yaml").read_text())
        assert set(content) <= set(schema["properties"])
        assert set(schema["required"]) <= set(content)
        for part in ("topology", "limits"):
            defined = schema["$defs"][part.capitalize()]
            assert set(content[part]) <= set(defined["properties"])
        core = schema["$defs"][content["core"]["fabric"].capitalize()]
        assert set(content["core"]) <= set(core["properties"])


def test_the_schema_has_the_words_of_the_docstrings():
    schema = new_chip.chip_schema()
    assert schema["$defs"]["Limits"]["properties"]["state_bits"]["description"] == (
        "of u and v, sign included."
    )
    described = [key for key, value in schema["properties"].items() if "description" in value]
    assert set(described) == set(Chip.model_fields)


def test_the_schema_in_the_documentation_is_the_one_of_today():
    """Run `make chips` after a change of compiler/chip.py or compiler/fabric.py."""
    path = ROOT / "docs" / "chip.schema.json"
    assert path.read_text(encoding="utf-8") == schema_text()


def test_the_library_in_the_documentation_is_the_one_of_today():
    """Run `make chips` after a change of a chip."""
    path = ROOT / "docs" / "chip_library.md"
    assert path.read_text(encoding="utf-8") == library()


def test_the_page_of_the_library_says_what_is_unverified_and_what_is_not_published():
    page = library()
    chips = [backends.find_chip(name) for name in NAMES]
    stated = [f for c in chips for part in (c.topology, c.limits, c.core) for _, f in part]
    stated += [f for c in chips for f in c.facts.values()]
    stated += [f for c in chips for column in c.costs.values() for f in column.figures.values()]
    unverified = sum(getattr(f, "basis", "") == "unverified" for f in stated)
    assert page.count("| **unverified** |") == unverified
    assert page.count("* Energy: unknown (nothing published).") == sum(not c.costs for c in chips)
    assert all(f"\n## {name}\n" in page for name in NAMES)


def test_event_kinds_of_the_costs_are_known():
    for name in NAMES:
        for column in backends.find_chip(name).costs.values():
            assert set(column.figures) <= set(EVENTS)
