"""Verbs that keep an Image in one file and take it back."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from spikeport.compiler.image import Image


def save_image(image: Image, path: str | Path) -> None:
    """Write an Image as one file: `load_image` and `spikeport run` take it back.

    Raises:
        OutputError: something is there already, or the folder is not.
    """
    from spikeport.compiler.load.write_image import write_image
    from spikeport.files import check_file

    write_image(image, check_file(Path(path)))


def load_image(path: str | Path) -> Image:
    """Return the Image in a file that `save_image` or `spikeport compile` wrote.

    Nothing in the file is run or believed. What a run needs is checked here; the placement is
    read and verified when `image.chip`, `image.plan` or `image.routes` are asked for.

    Raises:
        LoadError: not a saved image, damaged, or of another format; also of those three.
    """
    import spikeport.models.neurons  # noqa: F401 - registers the types of cells
    from spikeport.compiler.load.read_image import read_image

    return read_image(Path(path))
