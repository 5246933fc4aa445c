"""Read a saved image, which is hostile until it was checked.

The Program, its slices and routes and the use of the cores are checked and made at once: that is
all that a run needs, and an engine may trust it. The chip's description and the plan of its fabric
are read when somebody asks for them, because making sense of a chip takes longer than a small run;
the whole placement is verified then, as after `place`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikeport.compiler.check import RULES
from spikeport.compiler.errors import FitError, LoadError, SpikeportError
from spikeport.compiler.image import CoreUse, Image, Route, Slice
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.files import naming
from spikeport.compiler.load.image_bytes import AGAIN, damaged, read_bytes
from spikeport.compiler.load.image_rules import wrong_in_places, wrong_in_program, wrong_in_routes
from spikeport.compiler.load.image_tree import Unpacker
from spikeport.compiler.load.image_types import cell_types, plan_types, program_types
from spikeport.compiler.program import Cell, Program

if TYPE_CHECKING:
    from spikeport.compiler.chip import Chip

#: What is made of wrong content before a rule can name it.
BROKEN = (ArithmeticError, AttributeError, LookupError, MemoryError, RecursionError, TypeError,
          ValueError)  # fmt: skip
Tree = dict[str, Any]


def read_image(path: Path) -> Image:
    """Return the image in a file.

    Raises:
        LoadError: not a saved image, damaged, or holding what no compiler makes. Where only the
            placement is wrong, `image.chip` and `image.plan` raise it.
    """
    tree, arrays = read_bytes(path)
    with _refused(path.name):
        if not isinstance(tree, dict) or tree.keys() != {each.name for each in fields(Image)}:
            raise damaged("it does not hold an image")
        read = Unpacker(arrays, program_types(), {Cell: cell_types()})
        program = read.unpack(tree["program"], Program)
        _hold(wrong_in_program(program))
        for rule in RULES[Program]:
            _hold(rule(program))
        now = {
            "program": program,
            "slices": read.unpack(tree["slices"], tuple[Slice, ...]),
            "cores": read.unpack(tree["cores"], tuple[CoreUse, ...]),
            "routes": read.unpack(tree["routes"], tuple[Route, ...] | None),
            "chips": read.unpack(tree["chips"], int),
        }
        _hold(wrong_in_places(program, now["slices"], now["cores"]))
        _hold(wrong_in_routes(program, now["routes"] or (), now["cores"]))
    return _ReadImage.of(path.name, tree, arrays, now)


def _hold(wrong: Iterator[str]) -> None:
    for each in wrong:
        raise LoadError("the image is not one that spikeport made", each, AGAIN)


@contextmanager
def _refused(file: str) -> Iterator[None]:
    """Make an error about the file of whatever wrong content leads to."""
    with naming(file):
        try:
            yield
        except SpikeportError as error:
            raise LoadError(error.what, error.why, AGAIN) from None
        except BROKEN as error:
            why = " ".join(str(error).split())[:160]
            raise damaged(f"what it holds cannot be read ({type(error).__name__}: {why})") from None


class _ReadImage(Image):
    """An Image whose chip and plan are still in the tree; it becomes an Image when one is read."""

    @classmethod
    def of(cls, file: str, tree: Tree, arrays: Sequence[Array], now: Mapping[str, Any]) -> Image:
        """Return an image that holds what is given, and reads the rest when it is asked for."""
        image = object.__new__(cls)
        vars(image).update(now, _unread=(file, tree, arrays))
        return image

    def _read(self, name: str) -> Any:
        now = dict(vars(self))
        file, tree, arrays = now.pop("_unread")
        with _refused(file):
            types = program_types() | plan_types()
            plan = Unpacker(arrays, types, {Cell: cell_types()}).unpack(tree["plan"], Any)
            whole = Image(**now | {"routes": self.routes, "chip": _chip(tree), "plan": plan})
            try:
                for rule in RULES[Image]:
                    _hold(rule(whole))
            except FitError as error:
                raise LoadError("its placement is wrong", error.violations[0], AGAIN) from None
        vars(self).clear()
        vars(self).update(vars(whole))
        object.__setattr__(self, "__class__", Image)
        return getattr(self, name)

    def _find_routes(self) -> Sequence[Route]:
        held = vars(self)
        if held["routes"] is None:
            file, tree, _ = held["_unread"]
            with _refused(file):
                held["routes"] = _derived(self, _chip(tree))
        return held["routes"]  # type: ignore[no-any-return]

    chip = property(lambda self: self._read("chip"))
    plan = property(lambda self: self._read("plan"))
    routes = property(_find_routes)


def _chip(tree: Tree) -> Chip:
    from spikeport.compiler.chip import Chip

    return Chip.model_validate_json(json.dumps(tree["chip"]))


def _derived(image: Image, chip: Chip) -> Sequence[Route]:
    """Return the routes of an image so large that its file leaves them out."""
    from spikeport.compiler.fabric import Lists
    from spikeport.compiler.place.routes import Routes

    lists = chip.core if isinstance(chip.core, Lists) else None
    return Routes(image.program, image.slices, lists)
