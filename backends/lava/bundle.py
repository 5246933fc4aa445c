"""Writes a bundle: a folder that runs Programs in Lava without spikeport.

Programs come in; out goes a folder with `run_lava.py`, `network.json`, `arrays.npz` and a
README.md. The script needs Python 3.10 with lava-nc 0.10, nothing of ours.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from spikeport.compiler import fixed
from spikeport.compiler.errors import LoweringError, OutputError
from spikeport.compiler.image import Image
from spikeport.compiler.kinds import Array
from spikeport.compiler.network import Convolution
from spikeport.compiler.program import GRADED, LAVA, Cell, Program, Synapses

#: Rows of a population's array, in the order in which run_lava.py reads them.
CELL = (
    "decay_u",
    "decay_v",
    "v_threshold",
    "bias_mantissa",
    "bias_exponent",
    "v_reset",
    "v_initial",
    "v_min",
    "refractory_steps",
)

README = """# {name}, for Lava 0.10

    python run_lava.py --input input.npz --out traces.npz

needs Python 3.10 with `lava-nc==0.10.*` and nothing else. With `--deadline SECONDS` a run that
hangs is ended, and the message names the process that it waited for.

`input.npz` holds, for job J (0 here, if there is one network) and population NAME:

| key | array |
|---|---|
| `J/spikes/NAME` | spikes of an input, whole numbers, (samples, steps, neurons) |
| `J/bias/NAME` | what the host adds to v in each step, integers, same shape; optional |
| `J/samples`, `J/steps` | how much to run, if not what the spikes say |
| `J/state/u/NAME` (`v`, `refractory`), `J/history/NAME`, `J/first_step` | a state to go on from |

`traces.npz` gets `J/spikes/NAME`, `J/u/NAME`, `J/v/NAME`, each (samples, steps, neurons), after
the reset of the step, and `summary`, a JSON text: Lava's version, the processes that ran, and
which of them are not Lava's own.

{jobs}
"""


def export(noun: Image | Program, folder: Path | str) -> Path:
    """Write a bundle of one network and return its folder.

    Args:
        noun: what to run.
        folder: where to; it must not exist, or be empty.

    Raises:
        OutputError: something is in the way.
        LoweringError: the Program's arithmetic is not Lava's.
    """
    program = noun.program if isinstance(noun, Image) else noun
    return write_bundle([program], Path(folder))


def write_bundle(programs: Sequence[Program], folder: Path) -> Path:
    """Write a bundle in which every Program is a job, and return its folder.

    The folder appears complete or not at all.
    """
    for program in programs:
        _check(program)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder} is in use", "", "name a new or an empty folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        part = Path(scratch) / "bundle"
        part.mkdir()
        _write(programs, part)
        os.replace(part, folder)
    return folder


def _check(program: Program) -> None:
    if program.arithmetic not in (LAVA, GRADED):
        raise LoweringError(
            f"{program.name!r} cannot run in Lava",
            f"its datapath is {program.arithmetic}",
            "quantize it with Lava's arithmetic",
        )
    for name in program.neurons:
        if not isinstance(program.populations[name].cell, Cell):
            raise LoweringError(
                f"{name!r} is of kind {program.populations[name].kind}",
                "Lava 0.10 has no process for this kind, and spikeport has none either",
                "run it on the emulator: --backends emulator",
            )
        _check_rules(program, name)
    for each in program.synapses:
        stored = each.mantissa.data if sp.issparse(each.mantissa) else each.mantissa
        mode, bits = each.sign_mode, each.weight_bits
        low, high = fixed.weight_range(mode)
        kept = fixed.truncate_weights(np.clip(stored, low, high), mode, bits, "floor")
        if (kept != stored).any():
            raise LoweringError(
                f"Lava would change weights of {each.name!r}",
                f"not all of them are {mode} weights of {bits} bits",
                "truncate them with fixed.truncate_weights first",
            )


def _check_rules(program: Program, name: str) -> None:
    """Refuse rules that the 24-bit neurons of the bundle would not follow."""
    cell: Any = program.populations[name].cell
    rules = {
        "is reset in the step after": cell.reset_when != "same_step",
        "counts spikes": cell.spike != "binary",
        "compares with >=": cell.threshold != "greater",
        "resets as snnTorch subtracts": cell.reset == "subtract_snntorch",
        "sends messages": cell.message_bits > 0,
    }
    broken = [what for what, holds in rules.items() if holds]
    if program.arithmetic == LAVA and broken:
        raise LoweringError(
            f"{name!r} {broken[0]}",
            "on Lava only neurons with 32-bit states do that",
            "describe the chip with arithmetic: graded, or run it on the emulator",
        )


def _write(programs: Sequence[Program], folder: Path) -> None:
    arrays: dict[str, Array] = {}
    jobs = [_job(number, program, arrays) for number, program in enumerate(programs)]
    spec = {"format": "spikeport lava bundle 1", "jobs": jobs}
    (folder / "network.json").write_text(json.dumps(spec, indent=1))
    np.savez(folder / "arrays.npz", **arrays)  # type: ignore[arg-type]  # names are data here
    shutil.copyfile(Path(__file__).with_name("run_lava.py"), folder / "run_lava.py")
    title = programs[0].name if len(programs) == 1 else f"{len(programs)} networks"
    text = README.format(name=title, jobs="\n".join(_inputs(job) for job in jobs[:100]))
    (folder / "README.md").write_text(text)


def _job(number: int, program: Program, arrays: dict[str, Array]) -> dict[str, Any]:
    populations = []
    for at, (name, population) in enumerate(program.populations.items()):
        cell = population.cell
        if cell is not None:
            arrays[f"{number}/cell/{at}"] = np.stack([_row(cell, row) for row in CELL])
        populations.append(
            {
                "name": name,
                "number": at,
                "kind": "input" if cell is None else population.kind,
                "shape": list(population.shape),
                "reset": cell.reset if cell else "none",
                "reset_when": cell.reset_when if cell else "same_step",
                "spike": cell.spike if cell else "binary",
                "threshold": cell.threshold if cell else "greater",
                "spiking": cell.spiking if cell else True,
                "start_step": cell.start_step if cell else 0,
                "message_bits": cell.message_bits if cell else 0,
                "message_shift": cell.message_shift if cell else 0,
            }
        )
    synapses = []
    for at, each in enumerate(program.synapses):
        key = f"{number}/synapses/{at}"
        matrix = sp.csr_array(each.mantissa)
        arrays[f"{key}/data"] = matrix.data.astype(np.int16)
        arrays[f"{key}/indices"] = matrix.indices
        arrays[f"{key}/indptr"] = matrix.indptr
        conv = _integer_convolution(each)
        if conv is not None:
            arrays[f"{key}/kernel"] = np.asarray(conv.kernel).astype(np.int16)
        synapses.append(
            {
                "name": each.name,
                "number": at,
                "pre": each.pre,
                "post": each.post,
                "exponent": int(each.exponent),
                "sign_mode": each.sign_mode,
                "weight_bits": int(each.weight_bits),
                "delay_steps": int(each.delay_steps),
                "conv": None if conv is None else _geometry(conv),
            }
        )
    return {
        "name": program.name,
        "slow": program.slow,
        "state_bits": program.arithmetic.state_bits,
        "output_lag": int(program.lags.get(program.output, 0)),
        "host_inputs": sorted(program.host),
        "populations": populations,
        "synapses": synapses,
    }


def _row(cell: Cell, name: str) -> Array:
    return np.asarray(getattr(cell, name), np.int32).reshape(-1)


def _integer_convolution(each: Synapses) -> Convolution | None:
    integral = each.conv is not None and np.issubdtype(each.conv.kernel.dtype, np.integer)
    return each.conv if integral else None


def _geometry(conv: Convolution) -> dict[str, Any]:
    return {
        "stride": [int(value) for value in conv.stride],
        "padding": [int(value) for value in conv.padding],
        "dilation": [int(value) for value in conv.dilation],
        "groups": int(conv.groups),
        "input_shape": [int(value) for value in conv.input_shape],
        "output_shape": [int(value) for value in conv.output_shape],
    }


def _inputs(job: dict[str, Any]) -> str:
    inputs = [each for each in job["populations"] if each["kind"] == "input"]
    spikes = [each for each in inputs if each["name"] not in job["host_inputs"]]
    names = ", ".join(f"`{each['name']}` of shape {tuple(each['shape'])}" for each in spikes)
    text = f"* {job['name']}: spikes into {names or 'nothing'}"
    if job["host_inputs"]:
        text += f"; the host turns {', '.join(job['host_inputs'])} into `J/bias` arrays"
    return text
