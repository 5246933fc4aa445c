"""Ctrl-C and SIGTERM as a wish: what runs finishes its step, keeps what it has, and ends."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Wish:
    """Whether somebody asked for the end."""

    asked = False


@contextmanager
def stopping() -> Iterator[Wish]:
    """Yield a wish that the first SIGINT or SIGTERM sets; the second one interrupts at once.

    Only the main thread hears signals; in another one the wish is never set.
    """
    wish = Wish()
    if threading.current_thread() is not threading.main_thread():
        yield wish
        return

    def ask(number: int, _frame: object) -> None:
        if wish.asked:
            raise KeyboardInterrupt(f"signal {number}")
        wish.asked = True

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield wish
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
