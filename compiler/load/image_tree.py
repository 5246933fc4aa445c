"""Nouns as a tree of plain values, and back: what the header of a saved image holds.

    a noun      {"is": "Cell", "reset": "to_value", "decay_u": {"array": 3}, ...}, every field
    a mapping   {"map": [[key, value], ...]}
    a tuple     [value, ...]
    an array    {"array": number}
    a CSR array {"csr_array": [data, indices, indptr], "shape": [rows, columns]}, or csr_matrix

Only types that the caller lists are made, with exactly their fields, each of the type that the
class states; no name in a file ever leads to code.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from spikeport.compiler.errors import OutputError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load.image_bytes import damaged

LARGEST_INTEGER = 1 << 62
Types = Mapping[str, type]


class Packer:
    """Collects the arrays of the nouns that it packs; one that occurs twice is stored once."""

    def __init__(self, types: Types) -> None:
        self.arrays: list[Array] = []
        self._types = types
        self._numbers: dict[int, int] = {}

    def pack(self, value: Any) -> Any:
        """Return a value as plain values.

        Raises:
            OutputError: it is, or holds, something that a saved image has no form for.
        """
        if isinstance(value, np.generic):
            value = value.item()
        if value is None or isinstance(value, bool | int | str):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else {"float": repr(value)}
        if isinstance(value, np.ndarray):
            return {"array": self._number(value)}
        if isinstance(value, Mapping):
            return {"map": [[self.pack(key), self.pack(each)] for key, each in value.items()]}
        if isinstance(value, Sequence):
            return [self.pack(each) for each in value]
        if hasattr(value, "indptr"):
            return self._rows(value)
        kind = type(value)
        if self._types.get(kind.__name__) is not kind:
            raise OutputError(f"the image holds a {kind.__name__}", "a file has no form for it")
        named = {each.name: self.pack(getattr(value, each.name)) for each in fields(value)}
        return {"is": kind.__name__, **named}

    def _rows(self, matrix: Any) -> dict[str, Any]:
        rows = matrix.tocsr()
        if not rows.has_canonical_format:
            rows = rows.copy()
            rows.sum_duplicates()
        places = (np.asarray(each, np.int32) for each in (rows.indices, rows.indptr))
        numbers = [self._number(each) for each in (rows.data, *places)]
        return {type(rows).__name__: numbers, "shape": list(rows.shape)}

    def _number(self, array: Array) -> int:
        number = self._numbers.setdefault(id(array), len(self.arrays))
        if number == len(self.arrays):
            self.arrays.append(array)  # kept, so that no other gets its id
        return number


class Unpacker:
    """Makes nouns of trees, of the types that it is given.

    Args:
        arrays: of the file.
        types: name -> class, for all that may occur.
        instead: class of a field -> classes that may stand there instead.
    """

    def __init__(
        self, arrays: Sequence[Array], types: Types, instead: Mapping[type, tuple[type, ...]]
    ) -> None:
        self._arrays, self._types, self._instead = arrays, types, instead
        self._hints: dict[type, dict[str, Any]] = {}

    def unpack(self, tree: Any, hint: Any) -> Any:
        """Return what a tree stands for, which is of the type `hint`.

        Raises:
            LoadError: the tree stands for nothing, or for something else.
        """
        value = self._made(tree)
        if not self._fits(value, hint):
            raise damaged(f"{_shown(value)} stands for a {getattr(hint, '__name__', hint)}")
        return value

    def _made(self, tree: Any) -> Any:
        if isinstance(tree, list):
            return tuple(self._made(each) for each in tree)
        if not isinstance(tree, dict):
            return tree
        if "is" in tree:
            return self._noun(tree)
        match tree:
            case {"array": number, **rest} if not rest:
                return self._array(number)
            case {"csr_array": numbers, "shape": shape, **rest} if not rest:
                return self._csr("csr_array", numbers, shape)
            case {"csr_matrix": numbers, "shape": shape, **rest} if not rest:
                return self._csr("csr_matrix", numbers, shape)
            case {"map": pairs, **rest} if not rest and isinstance(pairs, list):
                return self._mapping(pairs)
            case {"float": ("nan" | "inf" | "-inf") as text, **rest} if not rest:
                return float(text)
        raise damaged(f"an entry has the fields {', '.join(tree)[:100]}")

    def _array(self, number: Any) -> Array:
        if type(number) is not int or not 0 <= number < len(self._arrays):
            raise damaged(f"there is no array {str(number)[:20]}")
        return self._arrays[number]

    def _csr(self, kind: str, numbers: Any, shape: Any) -> Any:
        if not (isinstance(numbers, list) and isinstance(shape, list) and len(shape) == 2):
            raise damaged("a sparse matrix is no list of arrays, or has no shape")
        if len(numbers) != 3:
            raise damaged(f"a sparse matrix has {len(numbers)} arrays, not three")
        parts = data, indices, indptr = tuple(self._array(number) for number in numbers)
        wrong = wrong_rows(data, indices, indptr, tuple(shape))
        if wrong:
            raise damaged(f"a sparse matrix {wrong}")
        import scipy.sparse as sp

        rows = getattr(sp, kind)(tuple(shape), dtype=parts[0].dtype)
        rows.data, rows.indices, rows.indptr = parts  # given to it at once, they would be copied
        rows.has_canonical_format = True
        return rows

    def _mapping(self, pairs: list[Any]) -> dict[Any, Any]:
        try:
            found = {self._made(key): self._made(each) for key, each in pairs}
        except (TypeError, ValueError):
            raise damaged("a mapping has entries that are none") from None
        if len(found) < len(pairs):
            raise damaged("a name is there twice")
        return found

    def _noun(self, tree: dict[str, Any]) -> Any:
        kind = self._types.get(tree["is"]) if isinstance(tree["is"], str) else None
        if kind is None:
            raise damaged(f"there is nothing called {_shown(tree['is'])}")
        if kind not in self._hints:
            self._hints[kind] = get_type_hints(kind, vars(sys.modules[kind.__module__]))
        names = {each.name for each in fields(kind)}
        if names != tree.keys() - {"is"}:
            differ = ", ".join(sorted(names ^ (tree.keys() - {"is"})))[:100]
            raise damaged(f"a {kind.__name__} has other fields: {differ}")
        values = {name: self._made(tree[name]) for name in names}
        for name, value in values.items():
            if not self._fits(value, self._hints[kind][name]):
                raise damaged(f"{name} of a {kind.__name__} is {_shown(value)}")
        return kind(**values)

    def _fits(self, value: Any, hint: Any) -> bool:
        """Is a value of the type that a class states for its field."""
        origin, args = get_origin(hint), get_args(hint)
        if hint is Any:
            return True
        if origin is UnionType:
            return any(self._fits(value, each) for each in args)
        if origin is tuple and isinstance(value, tuple):
            each = args[:1] * len(value) if args[-1] is ... else args
            return len(each) == len(value) and all(map(self._fits, value, each))
        if origin is Mapping and isinstance(value, dict):
            key, item = args
            return all(self._fits(k, key) and self._fits(v, item) for k, v in value.items())
        if origin is not None:
            return origin is np.ndarray and isinstance(value, np.ndarray)
        if hint is float and type(value) in (int, float):
            return bool(abs(value) < LARGEST_INTEGER)  # neither NaN nor infinite
        if hint is int:
            return type(value) is int and abs(value) < LARGEST_INTEGER
        if hint in (str, bool, None, NoneType):
            return value is None if hint in (None, NoneType) else type(value) is hint
        return any(isinstance(value, each) for each in self._instead.get(hint, (hint,)))


def _shown(value: Any) -> str:
    kind = type(value).__name__
    return repr(value)[:40] if isinstance(value, str | int | float | NoneType) else f"a {kind}"


def wrong_rows(data: Array, indices: Array, indptr: Array, shape: tuple[Any, Any]) -> str:
    """Return why arrays are no CSR array with sorted indices and no duplicates, or "".

    Args:
        data: (n,) of any type.
        indices, indptr: int32, (n,) and (rows + 1,).
        shape: (rows, columns), not checked.
    """
    if not all(type(extent) is int and 0 <= extent < 1 << 31 for extent in shape):
        return f"has the shape {str(shape)[:60]}"
    if not data.ndim == indices.ndim == indptr.ndim == 1 or data.size != indices.size:
        return "has not as many indices as values"
    if indices.dtype != np.int32 or indptr.dtype != np.int32 or indptr.size != shape[0] + 1:
        return f"has not {shape[0]} rows of int32 indices"
    if indptr[0] != 0 or indptr[-1] != indices.size or (indptr[1:] < indptr[:-1]).any():
        return "has rows that do not follow each other"
    if indices.size == 0:
        return ""
    if indices.min() < 0 or indices.max() >= shape[1]:
        return f"has an index outside its {shape[1]} columns"
    begins = np.zeros(indices.size + 1, bool)
    begins[indptr] = True
    falls = np.flatnonzero(indices[1:] <= indices[:-1]) + 1
    return "" if begins[falls].all() else "has rows whose indices are not in order"
