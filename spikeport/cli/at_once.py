"""`spikeport run IMAGE`, read from the command line without Typer.

Typer and what it imports take as long as loading and running a small image. Whatever is not a plain
run of a saved image (help, a wrong option, a graph) is left to `app`, so that nothing is said here.
"""

from __future__ import annotations

from pathlib import Path

VALUES = {
    "--input": "x", "--data": "x", "--out": "out", "--backend": "backend", "--input-kind": "kind",
    "--probe": "probe",
}  # fmt: skip


def ran_at_once(words: list[str]) -> bool:
    """Run what was typed behind `spikeport` if it is a run of a saved image; else do nothing."""
    typed = _parsed(words[1:]) if words[:1] == ["run"] else None
    if typed is None or "x" not in typed:
        return False
    from spikeport.compiler.load.image_bytes import is_image

    path = Path(typed["path"][-1])
    if not is_image(path):
        return False
    from spikeport.cli.output import emit, print_ran, say
    from spikeport.cli.progress import progress_bars
    from spikeport.cli.run_image import run_image

    last = {name: values[-1] for name, values in typed.items()}
    out = Path(last["out"]) if "out" in last else None
    with progress_bars() as progress:
        plain = run_image(
            path, last.get("backend"), Path(last["x"]), out, {}, typed.get("probe", []),
            last.get("kind"), {}, progress, say,
        )  # fmt: skip
    emit(plain) if "json" in typed else print_ran(plain)
    return True


def _parsed(words: list[str]) -> dict[str, list[str]] | None:
    """Return name -> values that were typed; None where there is anything else."""
    found: dict[str, list[str]] = {}
    rest = iter(words)
    for word in rest:
        option, equals, value = word.partition("=")
        if word == "--json":
            found["json"] = [word]
        elif option in VALUES:
            given = value if equals else next(rest, None)
            if given is None:
                return None
            found.setdefault(VALUES[option], []).append(given)
        elif word.startswith("-") or "path" in found:
            return None
        else:
            found["path"] = [word]
    return found if "path" in found else None
