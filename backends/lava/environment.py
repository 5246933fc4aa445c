"""Finds the interpreter that Lava runs in, and makes one: nothing in, the path of a Python out.

lava-nc 0.10 is the last Lava there will be; it needs Python 3.10 and NumPy < 2, so it never
shares an environment with spikeport. Looked for, in this order: `SPIKEPORT_LAVA_PYTHON`, the
`.venv-lava` of a source checkout, the environment that `spikeport doctor --install lava` makes.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import platformdirs

from spikeport.compiler.errors import MissingError

LAVA = "lava-nc==0.10.*"
VARIABLE = "SPIKEPORT_LAVA_PYTHON"
#: Lies in an environment that is being made; one that still has it is not used.
INCOMPLETE = ".incomplete"
INSTALL = "spikeport doctor --install lava"

PROBE_S, DOWNLOAD_S, INSTALL_S = 20, 600, 1800
_PROBE = """
import importlib.metadata, importlib.util, sys
if sys.version_info[:2] != (3, 10):
    sys.exit("it is Python %d.%d" % sys.version_info[:2])
if importlib.util.find_spec("lava") is None:
    sys.exit("it has no package lava")
print(importlib.metadata.version("lava-nc"))
"""


def find_python() -> Path:
    """Return a Python 3.10 that has lava-nc.

    An environment whose folders show what it holds is not started to find out, so the answer
    typically takes a millisecond.

    Raises:
        MissingError: there is none, or the one that `SPIKEPORT_LAVA_PYTHON` names is not one.
    """
    named = os.environ.get(VARIABLE)
    if named:
        python = Path(shutil.which(named) or named).absolute()
        version(python)
        return python
    for folder in places():
        if _is_complete(folder):
            version(folder / "bin" / "python")
            return folder / "bin" / "python"
    raise MissingError(
        "Lava is not installed",
        f"it runs in a Python 3.10 of its own, and neither {VARIABLE} nor "
        f"{' nor '.join(str(folder) for folder in places())} gives one",
        INSTALL,
    )


def places() -> tuple[Path, ...]:
    """Return the folders that can hold Lava's environment, first choice first."""
    above = Path(__file__).resolve().parents[2]
    checkout = (above / ".venv-lava",) if (above / "pyproject.toml").exists() else ()
    return (*checkout, sidecar())


def sidecar() -> Path:
    """Return the folder of the environment that `install` makes; it need not exist."""
    return platformdirs.user_data_path("spikeport") / "lava"


def _is_complete(folder: Path) -> bool:
    return (folder / "bin" / "python").exists() and not (folder / INCOMPLETE).exists()


@cache
def version(python: Path) -> str:
    """Return the version of lava-nc that an interpreter has, without importing it.

    Raises:
        MissingError: it does not run, is not Python 3.10, or has no lava-nc.
    """
    packages = python.parent.parent / "lib" / "python3.10" / "site-packages"
    recorded = sorted(packages.glob("lava_nc-*.dist-info"))
    if python.exists() and recorded and (packages / "lava").is_dir():
        return recorded[-1].name.removesuffix(".dist-info").partition("-")[2]
    return _ask(python)


def _ask(python: Path) -> str:
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    try:
        told = subprocess.run(
            [python, "-B", "-s", "-c", _PROBE],
            env=quiet,
            capture_output=True,
            text=True,
            timeout=PROBE_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = getattr(error, "strerror", None) or f"no answer within {PROBE_S} s"
    else:
        if told.returncode == 0:
            return told.stdout.strip()
        reason = (told.stderr.strip().splitlines() or ["it does not run"])[0]
    raise MissingError(
        f"Lava cannot run in {python}",
        reason,
        f"let {VARIABLE} name a Python 3.10 that has {LAVA}, or unset it and run {INSTALL}",
    )


def install(report: Callable[[str], None]) -> Path:
    """Make the sidecar environment and return its interpreter; one that is ready is kept.

    A venv cannot be moved, so it is made in place: marked as incomplete until the end, and
    removed when anything fails.

    Args:
        report: is told in one line each what happens next.

    Raises:
        MissingError: there is no Python 3.10, or the packages cannot be had.
    """
    from filelock import FileLock

    folder, uv = sidecar(), _find_uv()
    python = folder / "bin" / "python"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.parent / "lava.lock"):
        with contextlib.suppress(MissingError):
            if _is_complete(folder):
                report(f"lava-nc {_ask(python)} is already in {folder}")
                return python
        base = _find_python310(uv, report)
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.mkdir()
            (folder / INCOMPLETE).touch()
            report(f"making an environment in {folder} with {base}")
            if uv:
                _run(uv, "venv", "--quiet", "--allow-existing", "--python", base, folder)
            else:
                _run(base, "-m", "venv", folder)
            report(f"installing {LAVA} and what it needs, some 300 MB")
            if uv:
                _run(uv, "pip", "install", "--quiet", "--python", python, LAVA)
            else:
                _run(python, "-m", "pip", "install", "--quiet", LAVA)
            report(f"lava-nc {_ask(python)} is ready")
            (folder / INCOMPLETE).unlink()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
    return python


def _run(*command: str | Path, timeout_s: float = INSTALL_S) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"not done within {timeout_s:g} s"
    else:
        if done.returncode == 0:
            return done.stdout
        reason = " | ".join(done.stderr.strip().splitlines()[-3:]) or f"code {done.returncode}"
    raise MissingError(
        "Lava could not be installed",
        f"`{' '.join(map(str, command))}` failed: {reason}",
        f"check that the package index can be reached, then run {INSTALL} again",
    )


def _find_uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return str(beside) if beside.exists() else shutil.which("uv")


def _find_python310(uv: str | None, report: Callable[[str], None]) -> Path:
    for python in _candidates(uv):
        if _is_310(python):
            return python
    if uv:
        report("no Python 3.10 on this machine: asking uv to download one")
        try:
            _run(uv, "python", "install", "--quiet", "--no-bin", "3.10", timeout_s=DOWNLOAD_S)
            return Path(_run(uv, "python", "find", "3.10").strip())
        except MissingError:
            pass  # said below, with every other way to get one
    raise MissingError(
        "Lava needs Python 3.10 and none was found",
        "looked at python3.10 on PATH, pyenv's versions and uv's",
        f"get one with `pyenv install 3.10`, `uv python install 3.10` or conda, put its "
        f"python3.10 on PATH, then run {INSTALL}; or let {VARIABLE} name one that has {LAVA}",
    )


def _candidates(uv: str | None) -> Iterator[Path]:
    """Yield what may be a Python 3.10, cheapest first.

    A pyenv shim lies on PATH even where its version is not switched on, and then does not run:
    the interpreters themselves are in `versions/` beside pyenv's `shims/`.
    """
    on_path = shutil.which("python3.10")
    roots = [Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")]
    if on_path:
        yield Path(on_path)
        roots.append(Path(on_path).parent.parent)
    for root in roots:
        yield from sorted(root.glob("versions/3.10.*/bin/python"))
    if uv:
        command = [uv, "python", "find", "--no-python-downloads", "3.10"]
        found = subprocess.run(command, capture_output=True, text=True, check=False)
        if found.returncode == 0:
            yield Path(found.stdout.strip())


def _is_310(python: Path) -> bool:
    command = [str(python), "-c", "import sys; sys.exit(sys.version_info[:2] != (3, 10))"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PROBE_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
