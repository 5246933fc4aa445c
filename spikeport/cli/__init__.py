"""The command line: `spikeport VERB FILE`. Results go to stdout, messages to stderr."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable


def main() -> None:
    """Run the command line and exit.

    0 fine, 1 a difference or a broken budget, 2 bad input, 3 something is missing, 70 an error of
    spikeport itself (SPIKEPORT_DEBUG=1 shows where).
    """
    from spikeport.cli.at_once import ran_at_once
    from spikeport.compiler.errors import SpikeportError, printable

    signal.signal(signal.SIGTERM, _end)  # so that what runs below cleans up
    try:
        if not ran_at_once(sys.argv[1:]):
            from spikeport.cli.app import app

            _run(app)
    except SpikeportError as error:
        _complain(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted: nothing was written\n")
        sys.exit(130)
    except MemoryError:
        sys.stderr.write(
            f"{printable(' '.join(sys.argv[1:3]))}: not enough memory\n"
            "  fix: run fewer samples or a smaller network\n"
        )
        sys.exit(2)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
    except Exception as error:
        if os.environ.get("SPIKEPORT_DEBUG"):
            raise
        _complain(
            f"spikeport failed ({type(error).__name__}: {printable(error)[:300]})\n"
            "  fix: report it, with what SPIKEPORT_DEBUG=1 shows"
        )
        sys.exit(70)


def _run(app: Callable[[], None]) -> None:
    """Run the commands; what Typer makes of Ctrl-C is an interruption again."""
    try:
        app()
    except SystemExit as end:
        if end.code == 130:
            raise KeyboardInterrupt from None
        raise


def _end(number: int, _frame: object) -> None:
    raise KeyboardInterrupt(f"signal {number}")


def _complain(text: str) -> None:
    """Print one message; it names a file of the command, the graph where no other is at fault."""
    from pathlib import PurePath

    from spikeport.compiler.errors import printable

    files = [word for word in map(_value, sys.argv[2:]) if _is_file(word)]
    names = [printable(PurePath(word).name) for word in files]
    named = any(name in text for name in names)
    prefix = "" if named or not names else f"{names[0]}: "
    sys.stderr.write(f"error: {prefix}{text}\n")


def _value(word: str) -> str:
    """Return the value in `--option=value`, and any other word as it is."""
    return word.partition("=")[2] if word.startswith("--") else word


def _is_file(word: str) -> bool:
    return word.endswith((".nir", ".image", ".npz", ".yaml", ".yml", ".json")) or os.path.isfile(
        word
    )
