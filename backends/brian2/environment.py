"""Finds Brian2, and leaves a process as it was: Brian2 keeps settings and hooks for all of it."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from spikeport.compiler.errors import BackendError, DataError, MissingError

VARIABLE = "SPIKEPORT_BRIAN2_TARGET"
TARGETS = ("numpy", "cython")
#: Brian2's own choice has -ffast-math, under which sums are taken in any order.
EXACT = ["-w", "-O3", "-ffp-contract=off", "-std=c++11"]


def load() -> Any:
    """Return the module brian2, imported without its side effects on the process.

    Raises:
        MissingError: it is not installed.
    """
    if sys.modules.get("brian2") is not None:
        return sys.modules["brian2"]
    if importlib.util.find_spec("brian2") is None:
        raise MissingError(
            "Brian2 is not installed",
            "the backend brian2 runs the real one, version 2.9 or newer",
            'pip install "spikeport[brian2]"',
        )
    with _hooks_kept():
        brian2 = importlib.import_module("brian2")
        _remove_logs(brian2.BrianLogger)
    return brian2


@contextlib.contextmanager
def _hooks_kept() -> Iterator[None]:
    """Put back what importing Brian2 hooks into: uncaught errors, Ctrl-C, warnings."""
    excepthook, main = sys.excepthook, threading.current_thread() is threading.main_thread()
    interrupt = signal.getsignal(signal.SIGINT)
    captured = getattr(warnings.showwarning, "__module__", "") == "logging"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sympy and of Brian2's parser, not of ours
            yield
    finally:
        sys.excepthook = excepthook
        if main:
            signal.signal(signal.SIGINT, interrupt)
        if not captured:
            logging.captureWarnings(False)


def _remove_logs(logger: Any) -> None:
    """Remove the log file and the copy of the running script that Brian2 makes on import."""
    if logger.file_handler is not None:
        logging.getLogger("brian2").removeHandler(logger.file_handler)
        logger.file_handler.close()
    for path in (logger.tmp_log, logger.tmp_script):
        if path is not None:
            Path(path).unlink(missing_ok=True)
    logger.file_handler = logger.tmp_log = logger.tmp_script = None
    logging.getLogger("py.warnings").removeHandler(logger.console_handler)


def target() -> str:
    """Return what Brian2 generates: `numpy`, or what the environment variable names.

    Raises:
        DataError: it names something else.
    """
    named = os.environ.get(VARIABLE) or TARGETS[0]
    if named not in TARGETS:
        raise DataError(
            f"{VARIABLE}={named} is not a code generation target",
            f"known are {' and '.join(TARGETS)}",
            f"unset it, or use {VARIABLE}=cython for long runs (its first build takes 30 s)",
        )
    return named


@contextlib.contextmanager
def settled(brian2: Any) -> Iterator[None]:
    """Set what a run needs of Brian2's global preferences, and put them back.

    Raises:
        BackendError: a script has chosen a device that only writes code.
    """
    if type(brian2.get_device()).__name__ != "RuntimeDevice":
        raise BackendError(
            "Brian2 is set to write code instead of running",
            f"its device is {type(brian2.get_device()).__name__}",
            'call brian2.set_device("runtime") first',
        )
    wanted = {
        "codegen.target": target(),
        "codegen.loop_invariant_optimisations": False,  # it reorders sums
        "codegen.cpp.extra_compile_args_gcc": EXACT,
        "core.default_float_dtype": brian2.float64,
        "core.stop_on_keyboard_interrupt": False,  # an interrupted run must not look finished
    }
    before = {name: brian2.prefs[name] for name in wanted}
    logger = logging.getLogger("brian2")
    level = logger.level
    try:
        logger.setLevel(logging.ERROR)
        for name, value in wanted.items():
            brian2.prefs[name] = value
        with warnings.catch_warnings():
            # It calls its parser by names that newer versions of that warn about.
            warnings.filterwarnings(
                "ignore", category=DeprecationWarning, module=r"(brian2|pyparsing)\."
            )
            yield
    finally:
        for name, value in before.items():
            brian2.prefs[name] = value
        logger.setLevel(level)


def check_compiled(network: Any) -> None:
    """Check that all code of a network that has run was there to be run.

    Raises:
        BackendError: Cython refused a part, which Brian2 prints and then leaves out.
    """
    for code in (code for each in network.sorted_objects for code in each.code_objects):
        if code.compiled_code["run"] is None:
            raise BackendError(
                f"Brian2 could not compile {code.name}",
                "it prints why, and runs the rest without it",
                f"unset {VARIABLE}: the numpy target does not compile; and report this",
            )
