"""The way of a new user: the example and the README's lines, with real training."""

import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: make torch-test")
pytest.importorskip("snntorch", reason="needs snntorch: make torch-test")
pytest.importorskip("sklearn", reason="needs scikit-learn: make torch-test")

import spikeport as sp  # noqa: E402
from spikeport.compiler.network import Input, Output  # noqa: E402

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def example():
    spec = importlib.util.spec_from_file_location("example", ROOT / "examples/from_snntorch.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_the_example_trains_and_deploys(example, tmp_path):
    result = example.main(tmp_path / "report", epochs=2)
    assert result["accuracy"]["reference"] > 0.85
    assert abs(result["accuracy"]["emulator"] - result["accuracy"]["reference"]) < 0.02
    assert result["assumed"] == ["dt"]
    assert "of 44000 cells differ" in result["repairs"][-1]
    report = (tmp_path / "report" / "report.md").read_text(encoding="utf-8")
    assert "Assumed" in report
    assert "dt" in report.split("## Assumed")[1]


def test_the_lines_in_the_readme_are_those_of_the_example(example, tmp_path, monkeypatch):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    code = re.search(r"## From PyTorch\n.*?```python\n(.*?)```", readme, re.S).group(1)
    assert len([line for line in code.splitlines() if line.strip()]) <= 8
    torch.manual_seed(0)
    x = torch.rand(40, 64)
    y = torch.arange(40) % 10
    names = {
        "net": example.Net(),
        "test_loader": torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 16),
    }
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), names)
    assert (tmp_path / "net.nir").exists()
    assert (tmp_path / "report" / "report.html").exists()
    assert names["result"]["samples"] == 40
    assert isinstance(names["network"], sp.Network)


def test_loaders_of_tensors_become_arrays():
    x, y = torch.rand(10, 5, 64).round(), torch.arange(10)
    net = sp.Network({"in": Input((64,)), "out": Output((64,))}, (("in", "out"),))
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), 4)
    data = sp.data_from(loader, net)
    assert np.array_equal(data.inputs["in"], x.numpy())
    assert data.labels.tolist() == list(range(10))
