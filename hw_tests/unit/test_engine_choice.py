"""Which engine runs: the one that is asked for, the one that is there, and what errors say."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from spikeport.backends import emulator
from spikeport.backends.emulator.engines import VARIABLE, is_built
from spikeport.compiler.errors import DataError, MissingError
from spikeport.compiler.kinds import STEPS, Steps
from spikeport.compiler.program import CellPopulation, Program, Synapses
from spikeport.compiler.quantize.cell import neutral_cell

ROOT = Path(__file__).resolve().parents[2]
needs_c = pytest.mark.skipif(not is_built(), reason="the C engine was not built")


def chain(cell=None, size=3):
    """Return in -> a, where one spike makes one spike."""
    cell = neutral_cell(size, v_threshold=np.full(size, 10, np.int32)) if cell is None else cell
    populations = {
        "in": CellPopulation("input", (size,), None, np.ones(1)),
        "a": CellPopulation("IF", (size,), cell, np.ones(size)),
    }
    weights = sp.eye_array(size, format="csr", dtype=np.int32) * 20
    synapses = Synapses.of("in-a", "in", "a", weights, 0, "mixed")
    return Program(1e-3, populations, (synapses,), {"out": "a"}, {})


def ran(**how):
    traces = emulator.run(chain(), {"in": np.ones((2, 4, 3), int)}, **how)
    assert traces.spikes["a"].total == 18
    return traces.extra["engine"]


def without_engine(script, *arguments, **environment):
    """Run Python where `spikeport.backends._engine` cannot be found."""
    hide = (
        "import sys\n"
        "class Hidden:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name == 'spikeport.backends._engine':\n"
        "            raise ModuleNotFoundError(name, name=name)\n"
        "import importlib.util\n"
        "there = importlib.util.find_spec\n"
        "def find_spec(name, package=None):\n"
        "    return None if name == 'spikeport.backends._engine' else there(name, package)\n"
        "importlib.util.find_spec = find_spec\n"
        "sys.meta_path.insert(0, Hidden())\n"
    )
    return subprocess.run(
        [sys.executable, "-c", hide + script, *arguments],
        cwd=ROOT,
        env={key: x for key, x in os.environ.items() if key != VARIABLE} | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


COMMAND = "from spikeport.cli import main\nsys.exit(main())\n"


def test_the_engine_is_there_where_it_is_required():
    if "engine" not in os.environ.get("SPIKEPORT_REQUIRE", ""):
        pytest.skip("SPIKEPORT_REQUIRE does not ask for the engine")
    assert is_built()


def test_a_changed_header_builds_the_engine_again():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (engine,) = settings["tool"]["setuptools"]["ext-modules"]
    folder = ROOT / "backends" / "emulator"
    sources = {path.relative_to(ROOT).as_posix() for path in folder.glob("*.[ch]")}
    assert {*engine["sources"], *engine["depends"]} == sources


# --- asked for --------------------------------------------------------------------------------


@needs_c
def test_c_runs_where_it_is_built(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    assert ran() == "c"


@needs_c
@pytest.mark.parametrize("engine", ["c", "numpy"])
def test_the_environment_chooses(engine, monkeypatch):
    monkeypatch.setenv(VARIABLE, engine)
    assert ran() == engine


@needs_c
def test_the_argument_is_heard_before_the_environment(monkeypatch):
    monkeypatch.setenv(VARIABLE, "c")
    assert ran(engine="numpy") == "numpy"


def test_an_engine_that_there_is_not_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "nonsense")
    with pytest.raises(DataError, match="unknown engine 'nonsense'") as caught:
        ran()
    assert caught.value.fix == "SPIKEPORT_ENGINE=c"
    monkeypatch.setenv(*caught.value.fix.split("="))
    assert ran(engine="numpy") == "numpy"


@dataclass(frozen=True, eq=False)
class Strange:
    """A kind of neuron that only NumPy steps: everything that arrives is sent on."""

    size: int
    start_step: int = 0
    spiking: bool = True
    message_bits: int = 0
    largest_message: int = 1

    @property
    def bias_mantissa(self):
        return np.zeros(self.size, np.int32)

    bias_exponent = bias_mantissa


@pytest.fixture
def strange():
    """A Program with a neuron that the C engine does not know."""

    def start(cell, samples):
        return {name: np.zeros((samples, cell.size), np.int64) for name in ("u", "v")}

    def step(cell, arithmetic, state, received, bias):
        return (received > 0).astype(np.int64), 0

    STEPS[Strange] = Steps(start, step)
    yield chain(Strange(3))
    del STEPS[Strange]


@needs_c
def test_numpy_runs_what_c_does_not_know(strange, monkeypatch):
    monkeypatch.setenv(VARIABLE, "c")
    traces = emulator.run(strange, {"in": np.ones((2, 4, 3), int)})
    assert (traces.extra["engine"], traces.spikes["a"].total) == ("numpy", 18)


@needs_c
def test_c_by_name_refuses_what_it_does_not_know(strange):
    with pytest.raises(DataError, match="it has no Strange") as caught:
        emulator.run(strange, {"in": np.ones((2, 4, 3), int)}, engine="c")
    assert caught.value.fix == "use the engine numpy"
    emulator.run(strange, {"in": np.ones((2, 4, 3), int)}, engine="numpy")


# --- not built --------------------------------------------------------------------------------


def test_without_the_engine_numpy_runs_and_says_so():
    script = (
        "from hw_tests.unit.test_engine_choice import ran\n"
        "print(ran())\n"
        "assert 'spikeport.backends._engine' not in sys.modules\n"
    )
    done = without_engine(script)
    assert (done.stdout, done.stderr) == ("numpy\n", "")


def test_asking_for_an_engine_that_was_not_built_is_exit_code_3():
    script = (
        "from hw_tests.unit.test_engine_choice import ran\n"
        "from spikeport.compiler.errors import MissingError\n"
        "try:\n"
        "    ran()\n"
        "except MissingError as error:\n"
        "    print(error)\n"
        "    sys.exit(error.exit_code)\n"
    )
    done = without_engine(script, **{VARIABLE: "c"})
    assert done.returncode == MissingError.exit_code == 3
    assert done.stdout == (
        "the C engine is not there: spikeport was installed where no C compiler was found\n"
        "  fix: install a C compiler and spikeport again, or use the engine numpy\n"
    )


def test_doctor_says_that_numpy_runs_and_how_to_get_c():
    done = without_engine(COMMAND, "doctor")
    assert "engine: numpy\n" in done.stdout
    assert "missing: the C engine was not built" in done.stdout


@needs_c
def test_doctor_names_the_c_engine():
    command = [sys.executable, "-c", f"import sys\n{COMMAND}", "doctor"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert "engine: c\n" in done.stdout
    assert "C engine" not in done.stdout


# --- interrupted ------------------------------------------------------------------------------

LONG = (
    "import numpy as np\n"
    "import signal\n"
    "from hw_tests.unit.test_engine_choice import chain\n"
    "from spikeport.backends import emulator\n"
    "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background has none
    "def told(done, steps):\n"
    "    print(done, flush=True)\n"
    "x = {'in': np.ones((2, 1, 30_000), np.uint8)}\n"
    "net = chain(size=30_000)\n"
    "emulator.run(net, x, steps=4_000_000, engine='c', threads=%d, progress=told)\n"
)


@needs_c
@pytest.mark.parametrize("threads", [1, 2])
def test_ctrl_c_ends_a_long_run(threads):
    script = LONG % threads
    running = subprocess.Popen(
        [sys.executable, "-c", script],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert running.stdout.readline()  # it is inside the native call
    running.send_signal(signal.SIGINT)
    try:
        _, error = running.communicate(timeout=30)  # it would take minutes
    finally:
        running.kill()
    assert "KeyboardInterrupt" in error.splitlines()[-1]
    assert running.returncode in (130, -signal.SIGINT)


@needs_c
@pytest.mark.parametrize("threads", [1, 2])
def test_what_progress_raises_ends_the_run(threads):
    def told(done, steps):
        if done < steps:
            raise RuntimeError(f"enough after {done}")

    net, x = chain(size=30_000), {"in": np.ones((2, 1, 30_000), int)}
    with pytest.raises(RuntimeError, match="enough"):
        emulator.run(net, x, 4_000_000, engine="c", threads=threads, progress=told)
