"""Values out of a checked HDF5 dataset: no chunk and no string may grow without limit."""

from __future__ import annotations

import zlib
from typing import Any

import h5py
import numpy as np

from spikeport.compiler.errors import LoadError

LONGEST_TEXT = 16 << 20  # bytes, all strings of one dataset together


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


def read_value(dataset: Any, block: int, place: str) -> Any:
    """Return what a checked dataset holds.

    Args:
        dataset: low-level dataset, already walked.
        block: how many strings to read at a time: each may be as long as the file.
        place: for messages.

    Returns:
        None for an empty dataspace; str or nested lists of str; else an array.

    Raises:
        LoadError: strings that are too long or not UTF-8.
    """
    if dataset.get_space().get_simple_extent_type() == h5py.h5s.NULL:
        return None
    if isinstance(dataset.get_type(), h5py.h5t.TypeStringID):
        return _read_texts(h5py.Dataset(dataset), block, place)
    values = np.empty(dataset.shape, dataset.dtype)
    if values.size:
        dataset.read(h5py.h5s.ALL, h5py.h5s.ALL, values)
    return values


def _read_texts(dataset: h5py.Dataset, block: int, place: str) -> Any:
    if dataset.shape == ():
        return _texts(np.asarray(dataset[()], object).reshape(1), place)[0]
    rows = max(1, block // max(1, int(np.prod(dataset.shape[1:]))))
    texts: list[str] = []
    total = 0
    for start in range(0, dataset.shape[0], rows):
        some = _texts(dataset[start : start + rows].ravel(), place)
        total += sum(map(len, some))
        if total > LONGEST_TEXT:
            raise LoadError(f"{place} holds too much text", f"the limit is {LONGEST_TEXT} bytes")
        texts += some
    return np.array(texts, object).reshape(dataset.shape).tolist()


def _texts(values: Any, place: str) -> list[str]:
    texts = []
    for value in values.tolist():
        if isinstance(value, bytes) and len(value) > LONGEST_TEXT:
            raise LoadError(f"{place} holds too much text", f"the limit is {LONGEST_TEXT} bytes")
        try:
            texts.append(value.decode() if isinstance(value, bytes) else str(value))
        except UnicodeDecodeError:
            raise LoadError(f"{place} is not UTF-8 text") from None
    return texts
