"""What README says is what a reader gets: its example runs, its figures are the demo's."""

import re
import shutil
from pathlib import Path

import pytest

import spikeport as sp
import spikeport.demo
from spikeport.cli.app import app
from spikeport.cli.show import joules

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DEMO = Path(spikeport.demo.__file__).parent


def test_the_python_example_runs_as_it_stands(tmp_path, monkeypatch):
    code = re.search(r"## In Python\n\n```python\n(.*?)```", README, re.S).group(1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 12
    shutil.copy(DEMO / "digits.nir", tmp_path / "digits.nir")
    shutil.copy(DEMO / "digits.npz", tmp_path / "test.npz")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SPIKEPORT_LAVA_PYTHON", raising=False)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert names["result"]["accuracy"]["reference"] > 0.97
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "report.html", "report.json", "report.md",
    ]  # fmt: skip


def test_the_figures_on_the_first_screen_are_the_demos():
    result = sp.deploy(DEMO / "digits.nir", data=DEMO / "digits.npz", backends_wanted=["emulator"])
    screen = " ".join(re.search(r"<!-- demo -->\n```\n(.*?)```", README, re.S).group(1).split())
    accuracy, energy = result["accuracy"], result["energy"]
    parity, use = result["parity"]["emulator_vs_reference"], result["resources"]
    low, high = energy["interval"]
    equal = 1 - parity["different"] / parity["cells"]
    for figure in (
        f"{result['samples']} samples x {result['steps']} steps of {result['dt']:g} s",
        f"reference {accuracy['reference']:.2%}, chip {accuracy['emulator']:.2%}",
        f"{equal:.3%} of {parity['cells']} cells equal",
        f"{result['latency_steps']} steps",
        f"{use['cores']} core, {use['compartments']} compartments, {use['synapses']} synapses, "
        f"{use['synaptic_memory_bits'] / 8192:.1f} KiB",
        f"{joules(energy['joules_per_sample'])} per sample ({joules(low)} to {joules(high)})",
        parity["explanation"]["text"],
        # Lava ran u, v and spikes of every neuron on 20 samples of 25 + 2 steps
        f"all {3 * use['compartments'] * 20 * (result['steps'] + result['latency_steps'])} values",
    ):
        assert figure in screen


@pytest.mark.parametrize("document", [*sorted((ROOT / "docs").glob("*.md")), ROOT / "README.md"])
def test_every_link_leads_to_a_file(document):
    for target in re.findall(r"\]\(([^)#]+?)\)", document.read_text(encoding="utf-8")):
        assert "://" in target or (document.parent / target).exists(), target


def test_every_command_is_listed():
    for command in app.registered_commands:
        name = (command.name or command.callback.__name__).replace("_", "-")
        assert f"spikeport {name}" in README
