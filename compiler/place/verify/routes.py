"""Are the routes of an Image those that its Program and its slices ask for? For the verifier."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp

from spikeport.compiler.image import Image, Route
from spikeport.compiler.kinds import Array
from spikeport.compiler.place.verify.counts import cores_of


def wrong_routes(
    image: Image, counts: Sequence[sp.csr_array], indexed: Sequence[Array]
) -> Iterator[str]:
    """Yield what is wrong with the routes.

    Args:
        image: its slices are right.
        counts: per projection, synapses of each sender in each slice, (pre, slices).
        indexed: per projection, do its lists in each slice store indices, (slices,).
    """
    wrong = [*_malformed(image)]
    yield from wrong
    if wrong:
        return
    cores = np.array([part.core for part in image.slices], np.int64)
    numbers: dict[str, list[int]] = {pre: [] for pre in image.program.populations}
    routes: dict[str, list[Route]] = {pre: [] for pre in image.program.populations}
    for number, each in enumerate(image.program.synapses):
        numbers[each.pre].append(number)
    for route in image.routes:
        routes[route.pre].append(route)
    for pre, mine in numbers.items():
        tables, sparse = [counts[n] for n in mine], [indexed[n] for n in mine]
        yield from _compared(image, pre, routes[pre], *_wanted(image, cores, tables, sparse))


def _malformed(image: Image) -> Iterator[str]:
    cores, home = {use.core for use in image.cores}, cores_of(image)
    for route in image.routes:
        who = f"the route of {route.pre!r} to core {route.target_core}"
        columns = (route.source_cores, route.synapses, route.sparse)
        if route.pre not in home:
            yield f"{who}: there is no such population"
        elif route.target_core not in cores:
            yield f"{who}: core {route.target_core} does not exist"
        elif route.neurons.size == 0 or any(each.size != route.neurons.size for each in columns):
            yield f"{who} is empty, or its columns are not equally long"
        elif route.neurons.min() < 0 or route.neurons.max() >= home[route.pre].size:
            yield f"{who} starts at a neuron beyond the {home[route.pre].size} of {route.pre!r}"
        elif (route.neurons[1:] < route.neurons[:-1]).any():
            yield f"{who} has its neurons not in order"
        else:
            there = home[route.pre][route.neurons]
            for at in np.flatnonzero(there != route.source_cores)[:1]:
                yield (
                    f"{who} starts neuron {route.neurons[at]} at core {route.source_cores[at]}, "
                    f"it is on core {there[at]}"
                )


def _wanted(
    image: Image, cores: Array, counts: Sequence[sp.csr_array], indexed: Sequence[Array]
) -> tuple[Array, Array, Array]:
    """Return (neuron * cores + target core, synapses, those with indices), keys ascending."""
    end = _cores(image)
    keys, found, with_index = [np.zeros(0, np.int64)], [np.zeros(0, int)], [np.zeros(0, int)]
    for table, sparse in zip(counts, indexed, strict=True):
        sender = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
        keys.append(sender * end + cores[table.indices])
        found.append(table.data)
        with_index.append(table.data * sparse[table.indices])
    different, place = np.unique(np.concatenate(keys), return_inverse=True)

    def summed(column: Sequence[Array]) -> Array:
        return np.bincount(place.ravel(), np.concatenate(column), different.size).astype(np.int64)

    return different, summed(found), summed(with_index)


def _compared(
    image: Image,
    pre: str,
    routes: Sequence[Route],
    wanted: Array,
    synapses: Array,
    sparse: Array,
) -> Iterator[str]:
    end = _cores(image)
    keys = _joined([route.neurons * end + route.target_core for route in routes])
    order = np.argsort(keys, kind="stable")
    keys = keys[order]
    doubled = np.flatnonzero(np.diff(keys) == 0)
    if doubled.size:
        yield f"{_who(image, pre, keys[doubled[0]])} is routed twice"
        return
    missing = np.setdiff1d(wanted, keys, assume_unique=True)
    if missing.size:
        yield f"{_who(image, pre, missing[0])} is not routed, nor are {missing.size - 1} more"
    beyond = np.setdiff1d(keys, wanted, assume_unique=True)
    if beyond.size:
        yield f"{_who(image, pre, beyond[0])} is routed and has no synapse there"
    if missing.size or beyond.size:
        return
    for told, counted, what in (
        (_joined([route.synapses for route in routes]), synapses, "synapses"),
        (_joined([route.sparse for route in routes]), sparse, "synapses with an index"),
    ):
        differs = np.flatnonzero(told[order] != counted)
        if differs.size:
            at = differs[0]
            yield (
                f"{_who(image, pre, keys[at])} has {counted[at]} {what} there, "
                f"its route says {told[order][at]}"
            )


def _who(image: Image, pre: str, key: int) -> str:
    neuron, core = divmod(int(key), _cores(image))
    return f"neuron {neuron} of {pre!r} to core {core}"


def _cores(image: Image) -> int:
    return 1 + max(use.core for use in image.cores)


def _joined(columns: Sequence[Array]) -> Array:
    return np.concatenate([np.zeros(0, np.int64), *columns])
