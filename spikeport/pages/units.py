"""Numbers as people read them: SI prefixes, grouped digits, per cent. None is a dash."""

from __future__ import annotations

import math
from typing import Any

#: Longest table on the page; all of it is in report.json.
MAX_TABLE = 200
NONE = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"
TIMES = "\N{MULTIPLICATION SIGN}"
#: Does not break: a figure stays with its unit, and groups of digits stay together.
SPACE = "\N{NO-BREAK SPACE}"
SUPERSCRIPT = str.maketrans(
    "-0123456789",
    "\N{SUPERSCRIPT MINUS}\N{SUPERSCRIPT ZERO}\N{SUPERSCRIPT ONE}\N{SUPERSCRIPT TWO}"
    "\N{SUPERSCRIPT THREE}\N{SUPERSCRIPT FOUR}\N{SUPERSCRIPT FIVE}\N{SUPERSCRIPT SIX}"
    "\N{SUPERSCRIPT SEVEN}\N{SUPERSCRIPT EIGHT}\N{SUPERSCRIPT NINE}",
)
PREFIXES = {
    -18: "a", -15: "f", -12: "p", -9: "n", -6: "\N{MICRO SIGN}", -3: "m",
    0: "", 3: "k", 6: "M", 9: "G", 12: "T",
}  # fmt: skip


def count(value: Any) -> str:
    """Return a whole number in groups of three digits; fractions keep three figures."""
    if value is None:
        return NONE
    if value == int(value):
        return f"{int(value):,}".replace(",", SPACE).replace("-", MINUS)
    return number(value)


def many(value: Any, word: str) -> str:
    """Return a count with its noun: 1 cell, 2 cells."""
    return f"{count(value)} {word}" if value == 1 else f"{count(value)} {word}s"


def number(value: Any) -> str:
    """Return a figure with about three digits, or anything else as its own text."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float):
        return str(value)
    if value == 0 or 1e-3 <= abs(value) < 1e15:
        if abs(value) >= 1000:
            return count(round(value))
        return f"{value:.3g}".replace("-", MINUS)
    mantissa, exponent = f"{value:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".").replace("-", MINUS)
    return f"{mantissa}{TIMES}10{str(int(exponent)).translate(SUPERSCRIPT)}"


def exact(value: Any) -> str:
    """Return a figure with six digits, as a budget compares it; anything else as its text."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return f"{value:.6g}".replace("-", MINUS)
    return number(value)


def percent(share: Any, digits: int = 2) -> str:
    """Return a share as per cent; what is not quite 0 or 100 is not shown as that.

    >>> percent(0.98148).replace(SPACE, " "), percent(1.0).replace(SPACE, " ")
    ('98.15 %', '100 %')
    >>> percent(3e-7).replace(SPACE, " ")
    '3e-05 %'
    """
    if share is None:
        return NONE
    value = 100.0 * share
    shown = f"{value:.{digits}f}"
    if value and float(shown) == 0:
        shown = f"{value:.1g}"
    elif value != 100 and float(shown) == 100:
        shown = f"{100 + math.copysign(10**-digits, value - 100):.{digits}f}"
    if "." in shown:
        shown = shown.rstrip("0").rstrip(".")
    return f"{shown}{SPACE}%".replace("-", MINUS, shown.startswith("-"))


def si(value: Any, unit: str) -> str:
    """Return a quantity with three figures and an SI prefix.

    >>> si(5.94e-6, "J").replace(SPACE, " "), si(0.0001, "s").replace(SPACE, " ")
    ('5.94 \u00b5J', '100 \u00b5s')
    """
    if value is None:
        return NONE
    prefix = prefix_of(value)
    return f"{scaled(value, prefix)}{SPACE}{PREFIXES[prefix]}{unit}"


def si_range(low: Any, high: Any, unit: str) -> str:
    """Return `low to high unit`, both with the prefix of the higher one."""
    if low is None or high is None:
        return NONE
    prefix = prefix_of(high)
    return f"{scaled(low, prefix)} to {scaled(high, prefix)}{SPACE}{PREFIXES[prefix]}{unit}"


def setting(name: str, value: Any) -> str:
    """Return a field of the semantics contract: times with their unit, the rest as it is."""
    if name in ("dt", "refractory") and isinstance(value, int | float):
        return si(value, "s")
    return "not set" if value is None or value == "" else number(value)


def prefix_of(value: float) -> int:
    """Return the power of ten of the SI prefix that a value is shown with."""
    if value == 0:
        return 0
    rounded = float(f"{value:.2e}")  # 999.9 nJ is 1 uJ
    exponent = 3 * math.floor(math.log10(abs(rounded)) / 3 + 1e-12)
    return min(max(exponent, -18), 12)


def scaled(value: float, prefix: int) -> str:
    """Return a value without its prefix, which is a power of ten, with three figures."""
    shown = value / 10.0**prefix
    text = f"{shown:.3g}" if abs(shown) < 999.5 else f"{shown:.0f}"
    return text.replace("-", MINUS)
