"""Write an Image as one file that `read_image` takes back; whole, or not at all."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from spikeport.compiler.image import Image
from spikeport.compiler.load.image_bytes import write_bytes
from spikeport.compiler.load.image_tree import Packer
from spikeport.compiler.load.image_types import plan_types, program_types
from spikeport.compiler.load.whole_file import whole_file

#: Above so many axons the routes are left out, and found again when somebody asks for them.
MOST_AXONS = 250_000


def write_image(image: Image, path: Path) -> None:
    """Write an image, its chip's description in it.

    Raises:
        OutputError: the file cannot be written, or the image holds something of no known type.
    """
    packer = Packer(program_types() | plan_types())
    tree = {
        each.name: packer.pack(getattr(image, each.name))
        for each in fields(image)
        if each.name not in ("chip", "routes")
    }
    tree["chip"] = image.chip.model_dump(mode="json")
    tree["routes"] = packer.pack(tuple(image.routes)) if _are_few(image) else None
    with whole_file(path) as part, part.open("wb") as file:
        write_bytes(file, tree, packer.arrays)


def _are_few(image: Image) -> bool:
    """Are routes kept: they are given, or few, so that a small image is run without finding them.

    A sender has at most an axon for each of its synapses, and for each core that is used.
    """
    if isinstance(image.routes, tuple):
        return True
    sizes = {name: each.size for name, each in image.program.populations.items()}
    reached = {
        post: len({part.core for part in image.slices if part.population == post})
        for post in image.program.neurons
    }
    synapses = image.program.synapses
    most = sum(min(each.count, sizes[each.pre] * reached[each.post]) for each in synapses)
    return most <= MOST_AXONS
