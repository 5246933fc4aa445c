"""The guard in front of HDF5: a hostile file becomes plain nested dicts, or is refused.

HDF5 can point out of the file (external links, external storage, virtual datasets), back into
itself (soft links, hard-link cycles), declare terabytes that it does not hold, and compress a
million to one. So the whole file is walked first, without reading a value: hard links only,
every object once, bounded objects, depth, bytes and chunks. Only then are the wanted values
read. Attributes are never opened.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py

from spikeport.compiler.errors import LoadError, printable
from spikeport.compiler.load import files
from spikeport.compiler.load.files import naming
from spikeport.compiler.load.hdf5_strings import Heaps
from spikeport.compiler.load.hdf5_values import check_chunks, read_value

LARGEST_DECLARED = 1 << 30  # bytes in memory, all datasets together, as float64
#: Above this many bytes a file must hold at least 1/LARGEST_RATIO of what it declares.
FREELY_DECLARED = 64 << 20
LARGEST_RATIO = 200
LARGEST_CHUNK = 8 << 20  # bytes; a chunk is unpacked whole, even to read one number of it
MOST_CHUNKS = 100_000
MOST_OBJECTS = 20_000
MOST_STRINGS = 200_000
LONGEST_STRING = 1 << 16
DEEPEST = 32
LONGEST_NAME = 200

FILTERS = {
    h5py.h5z.FILTER_DEFLATE: "gzip",
    h5py.h5z.FILTER_SHUFFLE: "shuffle",
    h5py.h5z.FILTER_FLETCHER32: "fletcher32",
    h5py.h5z.FILTER_LZF: "lzf",
}
COMPRESSORS = (h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_LZF)
NUMBERS = (h5py.h5t.INTEGER, h5py.h5t.FLOAT, h5py.h5t.ENUM)

Parts = tuple[str, ...]
Tree = dict[str, Any]


@dataclass
class _Walk:
    """What has been met so far in one file."""

    file: str
    stored: int
    objects: int = 0
    declared: int = 0
    chunks: int = 0
    strings: int = 0
    seen: set[tuple[int, int]] = field(default_factory=set)


def read_tree(path: Path, wanted: Callable[[Parts], bool]) -> Tree:
    """Return the groups of an HDF5 file as dicts and the wanted datasets as values.

    Args:
        path: of the file.
        wanted: is told the path of each dataset as a tuple of names; those that it does not
            want are checked like the others, but neither read nor returned.

    Returns:
        name -> dict (group), str, list of str (nested as its shape), or NumPy array or scalar.

    Raises:
        LoadError: not HDF5, damaged, or in any way not what a graph file needs to be.
    """
    head = files.first_bytes(path)
    if not head.startswith(files.HDF5):
        raise LoadError(
            f"{path.name}: this is not a NIR (HDF5) file",
            f"it looks like {files.looks_like(head)}",
            "write the graph again with nir.write(file, graph) in the tool that has it",
        )
    with _library_errors(path.name), h5py.File(path, "r", locking=False) as file:
        walk = _Walk(path.name, stored=path.stat().st_size)
        groups = _check_group(file.id, (), walk)
        if file.id.get_create_plist().get_sizes() != (8, 8):
            raise LoadError("the file's addresses do not have 8 bytes", "HDF5 writes 8 by default")
        return _read_group(file.id, (), groups, wanted, Heaps(path))


@contextmanager
def _library_errors(file: str) -> Iterator[None]:
    """Turn what h5py and NumPy raise on a damaged file into a LoadError."""
    try:
        with naming(file):
            yield
    except MemoryError:
        raise LoadError(f"{file}: the file needs more memory than there is") from None
    except (OSError, KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        why = printable(" ".join(str(error).split()))[:160]
        raise LoadError(
            f"{file}: cannot read the file as HDF5",
            f"it is truncated or damaged ({why})",
            "copy or write it again",
        ) from None


def text_of(parts: Parts) -> str:
    """Return a path inside the file as messages show it, cut to a readable length."""
    return "/" + "/".join(part if len(part) <= 60 else part[:57] + "..." for part in parts)


def _check_group(group: Any, parts: Parts, walk: _Walk) -> Tree:
    """Return the groups below as nested dicts, with None for every dataset."""
    if len(parts) > DEEPEST:
        raise LoadError(
            f"{text_of(parts[:4])}/... is nested too deep", f"the limit is {DEEPEST} levels"
        )
    walk.objects += group.get_num_objs()
    if walk.objects > MOST_OBJECTS:
        raise LoadError("too many objects in the file", f"the limit is {MOST_OBJECTS}")
    found: Tree = {}
    for name in _names(group):
        here = (*parts, _decoded(name, parts))
        _check_link(group, name, here)
        kind = _check_reached_once(group, name, here, walk)
        if kind == h5py.h5o.TYPE_GROUP:
            found[here[-1]] = _check_group(h5py.h5g.open(group, name), here, walk)
        else:
            _check_dataset(h5py.h5d.open(group, name), here, walk)
            found[here[-1]] = None
    return found


def _names(group: Any) -> list[bytes]:
    names: list[bytes] = []
    group.links.iterate(names.append)
    return names


def _decoded(name: bytes, parts: Parts) -> str:
    try:
        text = name.decode()
    except UnicodeDecodeError:
        raise LoadError(f"a name in {text_of(parts)} is not UTF-8") from None
    if len(text) > LONGEST_NAME:
        raise LoadError(
            f"a name in {text_of(parts)} is too long",
            f"it has {len(text)} characters, the limit is {LONGEST_NAME}",
        )
    return text


def _check_link(group: Any, name: bytes, here: Parts) -> None:
    kind = group.links.get_info(name).type
    if kind == h5py.h5l.TYPE_HARD:
        return
    word = {h5py.h5l.TYPE_SOFT: "a soft link", h5py.h5l.TYPE_EXTERNAL: "an external link"}
    raise LoadError(
        f"{text_of(here)} is {word.get(kind, 'a link of unknown kind')}",
        "a link can lead out of the file or into a loop, so none is followed",
        "write the graph with all of its values in the file",
    )


def _check_reached_once(group: Any, name: bytes, here: Parts, walk: _Walk) -> int:
    info = h5py.h5o.get_info(group, name)
    if info.type not in (h5py.h5o.TYPE_GROUP, h5py.h5o.TYPE_DATASET):
        raise LoadError(f"{text_of(here)} is neither a group nor a dataset")
    if (info.fileno, info.addr) in walk.seen:
        raise LoadError(
            f"{text_of(here)} is a second link to an object",
            "links to what was met before can form a loop (cycle), so each object has one place",
            "write the graph again with nir.write",
        )
    walk.seen.add((info.fileno, info.addr))
    return int(info.type)


def _check_dataset(dataset: Any, here: Parts, walk: _Walk) -> None:
    # The layout comes first: merely asking a virtual dataset for its shape opens other files.
    plist = dataset.get_create_plist()
    if plist.get_layout() == h5py.h5d.VIRTUAL:
        raise LoadError(f"{text_of(here)} is a virtual dataset", "its values are in other files")
    if plist.get_external_count() > 0:
        raise LoadError(
            f"{text_of(here)} has external storage",
            "its values are in another file",
            "write the graph with all of its values in the file",
        )
    _check_type(dataset.get_type(), here)
    shape = dataset.get_space().shape or ()
    _check_size(dataset, shape, here, walk)
    if plist.get_layout() == h5py.h5d.CHUNKED:
        _check_filters(plist, here)
        _check_chunk_count(dataset, plist.get_chunk(), shape, here, walk)


def _check_type(kind: Any, here: Parts) -> None:
    if isinstance(kind, h5py.h5t.TypeStringID):
        if not kind.is_variable_str() and kind.get_size() > LONGEST_STRING:
            raise LoadError(f"{text_of(here)} holds strings of {kind.get_size()} bytes each")
        return
    if kind.get_class() not in NUMBERS or kind.get_size() > 16:
        raise LoadError(
            f"{text_of(here)} has a type that a graph does not use",
            "numbers, booleans and strings are read; references, records and lists are not",
        )


def _check_size(dataset: Any, shape: tuple[int, ...], here: Parts, walk: _Walk) -> None:
    count = math.prod(shape)
    if isinstance(dataset.get_type(), h5py.h5t.TypeStringID):
        walk.strings += count
        if walk.strings > MOST_STRINGS:
            raise LoadError(
                f"{text_of(here)} makes it too many strings", f"the limit is {MOST_STRINGS}"
            )
    size = count * max(8, dataset.get_type().get_size())
    walk.declared += size
    if walk.declared > LARGEST_DECLARED:
        raise LoadError(
            f"{text_of(here)} is too large",
            f"its shape {shape} makes it {walk.declared} bytes as float64 with what came before, "
            f"the limit for a file is {LARGEST_DECLARED}",
        )
    if walk.declared > max(FREELY_DECLARED, LARGEST_RATIO * walk.stored):
        raise LoadError(
            f"{text_of(here)} is too large for what the file holds",
            f"its shape {shape} needs {size} bytes, the whole file has {walk.stored}",
        )


def _check_filters(plist: Any, here: Parts) -> None:
    found = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    unknown = [number for number in found if number not in FILTERS]
    if unknown:
        raise LoadError(
            f"{text_of(here)} is compressed in an unknown way",
            f"HDF5 filter {unknown[0]}; read are {', '.join(FILTERS.values())}",
            "write the file with compression='gzip', as nir.write does",
        )
    if len(set(found)) != len(found) or sum(number in COMPRESSORS for number in found) > 1:
        raise LoadError(f"{text_of(here)} is compressed twice", "nested compression has no limit")


def _check_chunk_count(
    dataset: Any, chunk: tuple[int, ...], shape: tuple[int, ...], here: Parts, walk: _Walk
) -> None:
    chunk_bytes = math.prod(chunk) * dataset.get_type().get_size()
    if chunk_bytes > LARGEST_CHUNK:
        raise LoadError(
            f"{text_of(here)} is stored in chunks that are too large",
            f"one has {chunk_bytes} bytes, the limit is {LARGEST_CHUNK}",
        )
    walk.chunks += math.prod(-(-extent // each) for extent, each in zip(shape, chunk, strict=True))
    if walk.chunks > MOST_CHUNKS:
        raise LoadError(
            f"{text_of(here)} is stored in too many chunks", f"the limit is {MOST_CHUNKS}"
        )
    check_chunks(dataset, chunk_bytes, text_of(here))


def _read_group(
    group: Any, parts: Parts, below: Tree, wanted: Callable[[Parts], bool], heaps: Heaps
) -> Tree:
    tree: Tree = {}
    for name, groups in below.items():
        here = (*parts, name)
        if groups is not None:
            inner = h5py.h5g.open(group, name.encode())
            tree[name] = _read_group(inner, here, groups, wanted, heaps)
        elif wanted(here):
            dataset = h5py.h5d.open(group, name.encode())
            tree[name] = read_value(dataset, heaps, text_of(here))
    return tree
