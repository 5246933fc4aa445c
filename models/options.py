"""Options that somebody gives to a function by name: known ones, each of its type."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from inspect import Parameter, signature
from typing import Any, get_type_hints

import numpy as np

from spikeport.compiler.errors import SpikeportError, nearest


def check_options(
    of: str,
    make: Callable[..., Any],
    options: Mapping[str, Any],
    known: Collection[str],
    wrong: type[SpikeportError],
    least: int | None = None,
) -> None:
    """Refuse options that a function does not have, or whose type is another one.

    Args:
        of: what they are options of, for the message, such as `the network 'digits_mlp'`.
        make: the function; its annotations say the types.
        options: name -> value.
        known: names that may be given.
        wrong: the error that is raised.
        least: smallest whole number that may be given, where there is one.

    Raises:
        SpikeportError: of the type `wrong`.
    """
    from pydantic import TypeAdapter, ValidationError

    hints = get_type_hints(make) if options else {}
    for name, value in options.items():
        if name not in known:
            there = ", ".join(known)
            raise wrong(
                f"{of} has no option {name!r}",
                f"there are: {there}" if there else "it has none",
                f"did you mean {nearest(name, known)!r}?" if there else "leave it out",
            )
        plain = value.item() if isinstance(value, np.generic) else value
        try:
            TypeAdapter(hints[name]).validate_python(plain, strict=True)
        except ValidationError as error:
            why = error.errors()[0]["msg"]
        else:
            whole = [n for n in (plain if isinstance(plain, tuple) else (plain,)) if type(n) is int]
            if least is None or min(whole, default=least) >= least:
                continue
            why = f"the least is {least}"
        usual = signature(make).parameters[name].default
        fix = "" if usual is Parameter.empty else f"leave it out, for {usual!r}"
        raise wrong(f"{of}: {name} cannot be {value!r}"[:200], why, fix)
