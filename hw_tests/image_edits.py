"""Take the file of a saved image apart and put it together wrongly, its checksum right again."""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from spikeport.compiler.load.files import IMAGE
from spikeport.compiler.load.image_bytes import ALIGNED, PREAMBLE, read_bytes

Header = dict[str, Any]
Edit = Callable[[Header, list[Any]], object]


def parts_of(path: Path) -> tuple[Header, list[Any]]:
    """Return the header of a saved image and its arrays."""
    raw = path.read_bytes()
    length = PREAMBLE.unpack(raw[: PREAMBLE.size])[3]
    header = json.loads(raw[PREAMBLE.size : PREAMBLE.size + length])
    return header, [each.copy() for each in read_bytes(path)[1]]


def put_together(header: Header | bytes, arrays: list[Any]) -> bytes:
    """Return the bytes of a file with this header, whatever it says."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    raw += b" " * (-(PREAMBLE.size + len(raw)) % ALIGNED)
    body = raw
    for each in arrays:
        body += bytes(-(PREAMBLE.size + len(body)) % ALIGNED) + each.tobytes()
    return PREAMBLE.pack(IMAGE, 1, zlib.crc32(body), len(raw)) + body


def edited(parts: tuple[Header, list[Any]], edit: Edit, path: Path) -> Path:
    """Write the parts of an image after a change of its header or its arrays; returns the path.

    The table of arrays is made anew unless the edit changes it.
    """
    header, arrays = copy.deepcopy(parts)
    before = copy.deepcopy(header["arrays"])
    edit(header, arrays)
    if header["arrays"] == before:
        header["arrays"] = [[np.dtype(a.dtype).str[1:], list(a.shape)] for a in arrays]
    path.write_bytes(put_together(header, arrays))
    return path


def leaves(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return where every value of a tree is, as keys from its root."""
    if isinstance(tree, dict):
        found = [leaves(each, (*at, key)) for key, each in tree.items()]
    elif isinstance(tree, list):
        found = [leaves(each, (*at, number)) for number, each in enumerate(tree)]
    else:
        return [at]
    return [at, *(place for each in found for place in each)]


def put(tree: Any, at: tuple[Any, ...], value: Any) -> None:
    """Put a value at a place of a tree."""
    for key in at[:-1]:
        tree = tree[key]
    tree[at[-1]] = value
