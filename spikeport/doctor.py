"""What this machine has and what it lacks: nothing in, plain values out, for `spikeport doctor`."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from importlib import metadata
from importlib.util import find_spec
from typing import Any

import platformdirs

from spikeport.backends.emulator.engines import VARIABLE, is_built
from spikeport.backends.lava import environment
from spikeport.compiler.errors import MissingError

COMPILERS = ("cc", "gcc", "clang")
ASK_JAX = "import jax; print(jax.__version__, *{each.platform for each in jax.devices()})"


def examine() -> dict[str, Any]:
    """Return what `spikeport doctor` prints; nothing heavy is imported for it.

    Returns:
        `spikeport`, `python` {version, executable}, `platform`, `cores`, `packages` and `extras`
        {name: version, or None where it is absent}, `lava` {python, version} (both None without
        Lava), `train` {jax, device} (version, and `cpu`, `gpu` or `tpu`; both None without jax),
        `compiler` (path of a C compiler or None), `engine` of the emulator (`c`, or `numpy` where
        C was not built), `folders` {name: path}, and `missing`, a list of {what, why, fix}: empty
        when all is well.
    """
    missing: list[dict[str, str]] = []
    packages, extras = _packages()
    for name in (name for name, found in packages.items() if found is None):
        missing.append(
            {"what": f"{name} is not installed", "why": "", "fix": f"pip install {name}"}
        )
    compilers = (os.environ.get("CC", ""), *COMPILERS)
    compiler = next(filter(None, map(shutil.which, compilers)), None)
    return {
        "spikeport": metadata.version("spikeport"),
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "platform": platform.platform(),
        "cores": os.cpu_count(),
        "packages": packages,
        "extras": extras,
        "lava": _lava(missing),
        "train": _train(missing),
        "compiler": compiler,
        "engine": _engine(compiler, missing),
        "folders": {
            "lava": str(environment.sidecar()),
            "cache": str(platformdirs.user_cache_path("spikeport")),
        },
        "missing": missing,
    }


def _engine(compiler: str | None, missing: list[dict[str, str]]) -> str:
    if is_built():
        return "numpy" if os.environ.get(VARIABLE) == "numpy" else "c"
    again = "install spikeport again from its sources (pip install --force-reinstall .)"
    missing.append(
        {
            "what": "the C engine was not built",
            "why": "no C compiler worked when spikeport was installed; NumPy is slower",
            "fix": again if compiler else f"install a C compiler, then {again}",
        }
    )
    return "numpy"


def _lava(missing: list[dict[str, str]]) -> dict[str, str | None]:
    try:
        python = environment.find_python()
        return {"python": str(python), "version": environment.version(python)}
    except MissingError as error:
        missing.append({"what": error.what, "why": error.why, "fix": error.fix})
        return {"python": None, "version": None}


def _train(missing: list[dict[str, str]]) -> dict[str, str | None]:
    """Ask jax, in a process of its own: it is slow to import and takes a GPU's memory."""
    if find_spec("jax") is None:
        return {"jax": None, "device": None}
    try:
        told = subprocess.run([sys.executable, "-c", ASK_JAX], capture_output=True, text=True,
                              timeout=60, check=False)  # fmt: skip
        version, _, device = told.stdout.strip().partition(" ")
        why = told.stderr.strip().rpartition("\n")[2]
    except subprocess.TimeoutExpired:
        version, device, why = "", "", "it did not answer within 60 s"
    if not device:
        missing.append(
            {
                "what": "jax does not work",
                "why": why[:200],
                "fix": 'pip install --force-reinstall "spikeport[train]"',
            }
        )
    return {"jax": version or None, "device": device or None}


def _packages() -> tuple[dict[str, str | None], dict[str, str | None]]:
    """Return the versions of what spikeport's own metadata asks for: always, and by extras."""
    core: dict[str, str | None] = {}
    extras: dict[str, str | None] = {}
    for text in metadata.requires("spikeport") or ():
        name = re.split(r"[^\w.-]", text, maxsplit=1)[0]
        group = extras if "extra ==" in text else core
        try:
            group[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            group[name] = None
    return core, {name: found for name, found in extras.items() if name not in core}
