"""What runs or writes an Image, and the chips; imports compiler and models."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if __name__ != "spikeport.backends":
    raise ImportError("import this folder as spikeport.backends; see pyproject.toml, package-dir")

if TYPE_CHECKING:
    from spikeport.compiler.chip import Chip

CHIPS = Path(__file__).parent / "chips"
#: Found without a search through all installed packages, which takes longer than a small run.
OURS = ("reference", "emulator", "lava", "brian2")


def find(name: str) -> Any:
    """Return the backend module of a name, ours or another's: an entry point `spikeport.backends`.

    Raises:
        DataError: no such backend.
    """
    if name in OURS:
        return import_module(f"spikeport.backends.{name}")
    from importlib.metadata import entry_points

    from spikeport.compiler.errors import DataError

    known = {point.name: point for point in entry_points(group="spikeport.backends")}
    if name not in known:
        listed = ", ".join(sorted(known))
        raise DataError(f"unknown backend {name!r}", f"known are {listed}", "--backend emulator")
    return known[name].load()


def chip_names() -> list[str]:
    """Return the names of the chips that are shipped."""
    return sorted(path.stem for path in CHIPS.glob("*.yaml"))


def find_chip(name: str) -> Chip:
    """Return a chip by its name or by the path of its YAML file.

    Raises:
        ChipError: unknown, or not a chip description.
    """
    from spikeport.compiler.errors import ChipError
    from spikeport.compiler.load.chip import read_chip

    if name in chip_names():
        return read_chip(CHIPS / f"{name}.yaml")
    if name.endswith((".yaml", ".yml")) or "/" in name:
        return read_chip(Path(name))
    raise ChipError(
        f"unknown chip {name!r}",
        f"known are {', '.join(chip_names())}",
        "choose one of them, or give the path of a YAML file of your own",
    )
