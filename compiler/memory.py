"""How much memory there is and may be taken, and the refusal of what would take more."""

from __future__ import annotations

import os
import re
from pathlib import Path

from spikeport.compiler.errors import DataError, MemoryLimit

#: Share of what is free that is taken where nobody says how much.
SHARE = 0.8
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")
#: Letter of a unit -> power of 1024 (`GiB`, `G`) or of 1000 (`GB`).
POWERS = {letter: power for power, letter in enumerate("kmgt", start=1)} | {"": 0}
#: Taken where the system does not tell: what a small computer has.
UNKNOWN = 4 << 30


def in_bytes(text: str | int) -> int:
    """Return a size in bytes: a number, or one with a unit (`2GiB`, `2G`, `500 MB`).

    Raises:
        DataError: it is not a size above 0.

    >>> in_bytes("2GiB"), in_bytes("1.5 MB"), in_bytes(4096)
    (2147483648, 1500000, 4096)
    """
    found = re.fullmatch(r"\s*(\d{1,15}(?:\.\d{1,15})?)\s*([kmgt]?)(i?)(b?)\s*", str(text).lower())
    if found is None or (found[3] and not found[2]):
        raise _no_size(text)
    base = 1000 if found[4] and not found[3] else 1024
    size = int(float(found[1]) * base ** POWERS[found[2]])
    if size < 1:
        raise _no_size(text)
    return size


def in_words(size: float) -> str:
    """Return a number of bytes as a person reads it, with three digits.

    >>> in_words(512), in_words(11_000_000 * 5), in_words(80e9)
    ('512 B', '52.5 MiB', '74.5 GiB')
    """
    power = 0
    while size >= 1000 and power < len(UNITS) - 1:
        size, power = size / 1024, power + 1
    digits = 0 if power == 0 or size >= 100 else 1 if size >= 10 else 2
    return f"{size:.{digits}f} {UNITS[power]}"


def free_memory() -> int:
    """Return how many bytes can still be taken, by this machine or its container's limit."""
    return min(_free_of_machine(), _free_of_container())


def allowed_memory(given: str | int | None = None) -> int:
    """Return how many bytes may be taken: as given, else `SHARE` of what is free.

    Raises:
        DataError: what is given is not a size.
    """
    return int(SHARE * free_memory()) if given is None else in_bytes(given)


def check_memory(need: int, allowed: int, what: str, fix: str, enough: int | None = None) -> None:
    """Refuse what needs more memory than is allowed, before any is taken.

    Args:
        need, allowed: bytes.
        what: needs it, with a verb in the singular to follow.
        fix: what to do instead of allowing more.
        enough: bytes that will do for certain, where that is more than `need`.

    Raises:
        MemoryLimit: both figures, and what to do.
    """
    if need <= allowed:
        return
    raise MemoryLimit(
        f"{what} needs {in_words(need)} of memory",
        f"{in_words(allowed)} are allowed",
        f"{fix}, or allow it: --max-memory {_enough(enough or need)} (max_memory= in Python)",
    )


def check_free(need: int, what: str, fix: str) -> None:
    """Refuse what needs more memory than `SHARE` of what is free, before any is taken.

    Args:
        need: bytes.
        what: needs it, with a verb in the singular to follow.
        fix: what to do.

    Raises:
        MemoryLimit: both figures, and what to do.
    """
    allowed = allowed_memory()
    if need > allowed:
        why = f"{in_words(allowed)} may be taken, {SHARE:.0%} of what is free"
        raise MemoryLimit(f"{what} needs {in_words(need)} of memory", why, fix)


def _enough(need: int) -> str:
    """Return a size, as `in_bytes` reads it, that is not below `need`."""
    power = min((max(need, 1).bit_length() - 1) // 10, len(UNITS) - 1)
    unit = 1 << (10 * power)
    return f"{-(-need // unit)}{UNITS[power]}"


def _no_size(text: str | int) -> DataError:
    return DataError(
        f"{text!r} is not an amount of memory",
        "it is a number of bytes above 0, or a number with a unit",
        "write it as 2GiB or 500MB",
    )


def _free_of_machine() -> int:
    found = _numbers(Path("/proc/meminfo")).get("MemAvailable:")
    if found is not None:
        return found * 1024
    for name in ("SC_AVPHYS_PAGES", "SC_PHYS_PAGES"):
        if name in getattr(os, "sysconf_names", {}):
            return os.sysconf(name) * os.sysconf("SC_PAGE_SIZE")
    return UNKNOWN


def _free_of_container(folder: Path = Path("/sys/fs/cgroup")) -> int:
    """Return what is left of a limit on this process's control group (version 2)."""
    try:
        limit = int((folder / "memory.max").read_text())
        taken = int((folder / "memory.current").read_text())
    except (OSError, ValueError):  # no such file, or `max`: there is no limit
        return 1 << 62
    cache = _numbers(folder / "memory.stat").get("inactive_file", 0)  # given back when needed
    return max(limit - taken + cache, 0)


def _numbers(path: Path) -> dict[str, int]:
    """Return the first number behind each word that starts a line."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {found[0]: int(found[1]) for found in words if len(found) > 1 and found[1].isdigit()}
