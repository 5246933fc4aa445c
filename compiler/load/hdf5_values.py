"""Values out of a checked HDF5 dataset: no chunk and no string may grow without limit."""

from __future__ import annotations

import zlib
from typing import Any

import h5py
import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.load.hdf5_strings import Heaps, read_strings


def check_chunks(dataset: Any, chunk_bytes: int, place: str) -> None:
    """Refuse compressed chunks that unpack to more than a chunk holds.

    HDF5 unpacks a gzip stream to its end, whatever the chunk's declared size is.

    Args:
        dataset: low-level dataset, chunked.
        chunk_bytes: what one chunk declares.
        place: for messages.

    Raises:
        LoadError: a chunk holds more than it declares.
    """
    plist = dataset.get_create_plist()
    filters = [plist.get_filter(index)[0] for index in range(plist.get_nfilters())]
    if not filters:
        return
    chunks: list[Any] = []
    dataset.chunk_iter(chunks.append)
    deflate = h5py.h5z.FILTER_DEFLATE in filters
    for chunk in chunks:
        if chunk.size > chunk_bytes + chunk_bytes // 8 + 4096:
            raise LoadError(f"{place} has a chunk that is larger than it declares")
        # 1032 is the largest factor of deflate; below it nothing needs to be tried.
        if deflate and chunk.size * 1032 > chunk_bytes + (1 << 20):
            _check_stream(dataset.read_direct_chunk(chunk.chunk_offset)[1], chunk_bytes, place)


def _check_stream(stored: bytes, chunk_bytes: int, place: str) -> None:
    unpack = zlib.decompressobj()
    try:
        unpacked = unpack.decompress(stored, chunk_bytes + 4096)
    except zlib.error:
        return  # skipped filter or damage: HDF5 decides
    if len(unpacked) >= chunk_bytes + 4096:
        raise LoadError(
            f"{place} has a chunk that unpacks to more than it declares",
            f"one chunk of it has {chunk_bytes} bytes",
        )


def read_value(dataset: Any, heaps: Heaps, place: str) -> Any:
    """Return what a checked dataset holds.

    Args:
        dataset: low-level dataset, already walked.
        heaps: of its file, where the strings are.
        place: for messages.

    Returns:
        None for an empty dataspace; str or nested lists of str; else an array.

    Raises:
        LoadError: damaged strings, too much text, or text that is not UTF-8.
    """
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        return None
    kind = dataset.get_type()
    if not isinstance(kind, h5py.h5t.TypeStringID):
        return _read_array(dataset)
    if kind.is_variable_str():
        found = read_strings(dataset, heaps, place)
    else:
        found = [bytes(each) for each in _read_array(dataset).ravel()]
    try:
        texts = [each.decode() for each in found]
    except UnicodeDecodeError:
        raise LoadError(f"{place} is not UTF-8 text") from None
    return np.array(texts, object).reshape(dataset.shape).tolist()


def _read_array(dataset: Any) -> Any:
    values = np.empty(dataset.shape, dataset.dtype)
    if values.size:
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values
