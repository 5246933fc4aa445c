"""Which engine runs: C where it was built and knows the neurons, NumPy else."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec

from spikeport.backends.emulator.job import Job, Outcome
from spikeport.compiler.errors import DataError, MissingError

VARIABLE = "SPIKEPORT_ENGINE"
ENGINES = ("c", "numpy")


@cache
def is_built() -> bool:
    """Is the C engine there: it is not where spikeport was installed without a compiler."""
    if find_spec("spikeport.backends._engine") is None:
        return False
    try:
        import_module("spikeport.backends._engine")
    except ImportError:  # built for another Python or another machine
        return False
    return True


def is_native() -> bool:
    """Does C run where nobody asks for an engine: it was built, and the environment allows it."""
    return is_built() and os.environ.get(VARIABLE) != "numpy"


def chosen(asked: str | None, job: Job) -> tuple[str, Callable[[Job], Outcome]]:
    """Return the name of the engine that runs a job, and what runs it.

    Args:
        asked: `c` or `numpy`; by default what the environment says, or what there is.
        job: NumPy runs what the C engine does not know, unless C was asked for.

    Raises:
        DataError: there is no such engine, or it cannot run the job.
        MissingError: the C engine was asked for and was not built.
    """
    wanted = asked or os.environ.get(VARIABLE) or None
    if wanted is not None and wanted not in ENGINES:
        raise DataError(
            f"unknown engine {wanted!r}",
            f"there are {' and '.join(ENGINES)}",
            "--engine c (engine= in Python)" if asked else f"{VARIABLE}=c",
        )
    if wanted == "c" and not is_built():
        raise MissingError(
            "the C engine is not there",
            "spikeport was installed where no C compiler was found",
            "install a C compiler and spikeport again, or use the engine numpy",
        )
    if wanted == "numpy" or not is_built():
        return "numpy", _numpy()
    from spikeport.backends.emulator.layout import UnknownToEngine, is_laid_out, layout_of
    from spikeport.backends.emulator.memory import check_layout
    from spikeport.backends.emulator.native import run_native

    noun = job.program if job.image is None else job.image
    if not is_laid_out(noun):
        check_layout(job)
    try:
        layout = layout_of(noun)
    except UnknownToEngine as reason:
        if asked == "c":
            raise DataError(
                "the C engine does not run this network", str(reason), "use the engine numpy"
            ) from None
        return "numpy", _numpy()
    return "c", lambda job: run_native(job, layout)


def _numpy() -> Callable[[Job], Outcome]:
    from spikeport.backends.emulator.specification import run_numpy

    return run_numpy
