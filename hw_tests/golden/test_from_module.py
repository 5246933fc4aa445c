"""What `from_module` wrote of live networks still does what the tools did, without PyTorch.

`record_from_module.py` made the files, with snntorch 1.0.0, norse 1.1.0, sinabs 3.1.3 and
spikingjelly 2.0.0 under torch 2.13.0.
"""

from pathlib import Path

import numpy as np
import pytest

import spikeport as sp

FOLDER = Path(__file__).parent / "from_module"
RECORDED = sorted(path.stem for path in FOLDER.glob("*.nir"))
#: Fields that the tools' own exporters lose, per layer.
LOST = {
    "snntorch_subtract_later": {"1": {"reset": "subtract", "reset_when": "next_step"}},
    "snntorch_subtract_at_once": {"1": {"reset": "subtract_snntorch"}},
    "snntorch_recurrent_zero": {"1": {"reset_when": "next_step"}, "3": {"reset": "to_value"}},
    "norse_cells": {"1": {"input_gain": "unit_current", "initial_v": 0.0}, "3": {"initial_v": 0.1}},
    "sinabs_squeezed": {"1": {"spike": "count", "v_min": -1.0}, "5": {"input_gain": "unit"}},
    "spikingjelly_soft": {"1": {"reset": "subtract"}, "4": {"threshold": "greater_equal"}},
}


def test_every_tool_is_recorded():
    assert {name.split("_")[0] for name in RECORDED} == {
        "snntorch", "norse", "sinabs", "spikingjelly",
    }  # fmt: skip


@pytest.mark.parametrize("name", RECORDED)
def test_no_cell_differs_from_the_tool(name):
    recorded = np.load(FOLDER / f"{name}.npz")
    network = sp.load(FOLDER / f"{name}.nir")
    ours = sp.run(network, recorded["x"])
    layers = [key.removeprefix("told.") for key in recorded.files if key.startswith("told.")]
    assert sorted(layers) == sorted(network.neurons)
    for layer in layers:
        told = recorded[f"told.{layer}"]
        assert told.sum() > 20
        assert np.array_equal(ours.spikes[layer].dense().reshape(told.shape), told), layer


@pytest.mark.parametrize("name", RECORDED)
def test_the_file_keeps_what_exporters_lose(name):
    semantics = sp.load(FOLDER / f"{name}.nir").semantics
    for layer, wanted in LOST[name].items():
        stated = {field: getattr(semantics.at(layer), field) for field in wanted}
        assert stated == pytest.approx(wanted)


@pytest.mark.parametrize("name", RECORDED)
def test_another_meaning_would_be_noticed(name):
    """The recordings tell resets apart: with the wrong one, spikes differ."""
    recorded = np.load(FOLDER / f"{name}.npz")
    network = sp.load(FOLDER / f"{name}.nir")
    kind = "subtract" if network.semantics.at("1").reset == "to_value" else "to_value"
    wrong = sp.load(FOLDER / f"{name}.nir", settings=[f"1.reset={kind}", "1.reset_when=same_step"])
    ours = sp.run(wrong, recorded["x"]).spikes["1"].dense()
    assert (ours.reshape(recorded["told.1"].shape) != recorded["told.1"]).any()
