"""The `detailed` model of a step on an asynchronous mesh: packets that queue, travel and crowd.

After SANA-FE (Boyle et al., IEEE TCAD 2025), written from hardware.md section 3.2; what that leaves
open was found by running it (2.2.9) and reading its trace of messages:

* A packet in flight stands in as many places as its way has: the port of its core, each link
  (along x first, then along y), the port of its target; in each with 1 / (links + 2).
* Where it leaves, it meets what stands at the port of its core and on its links. `crowd` is the sum
  of that, `mean` the mean time that a target takes for a packet, over all packets in flight:
      travel = max(hops, crowd * mean / (links + 1))
      wait for room = (crowd - buffer * (links + 1)) * mean, where that is above 0
* It is in flight until its target takes it, which takes one after the other as they leave.

Packets leave in the order of their time, at the same time by the number of their core; those of one
neuron by the number of the target. The other program has the order of its heap there, and sends a
neuron's packets in the order in which its cores lie in memory: why the two differ by some 0.1 %, by
about 1 % where one neuron sends to 31 cores. What comes from the host is at its target at time 0,
in the order of the targets, and takes no way.

This is the specification; `backends/emulator/mesh.h` is the same in C, operation by operation.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from spikeport.compiler.kinds import Array

HOST = -1


@dataclass(frozen=True, eq=False)
class Messages:
    """Packets of some rows (a row is one step of one sample), row by row, core by core.

    Attributes:
        offsets: where each row begins, int64 (rows + 1,).
        source: index of the core that sends, `HOST` first, ascending in a row, int32 (m,).
        target: index of the core that takes it, int32 (m,).
        wait: seconds from the packet before it from the same core, or from the start, (m,).
        serve: seconds that the target takes for it, (m,).
        rest: seconds of each core after its last packet, (rows, cores).
        cores: how many there are.
    """

    offsets: Array
    source: Array
    target: Array
    wait: Array
    serve: Array
    rest: Array
    cores: int


@dataclass(frozen=True, eq=False)
class Mesh:
    """Where the cores are, and what a hop takes.

    Attributes:
        x, y: tile of each core, int64 (cores,), from 0.
        hop_x, hop_y: seconds of a hop along x and along y.
        buffer: packets that a place on a way holds.
    """

    x: Array
    y: Array
    hop_x: float
    hop_y: float
    buffer: int


@dataclass(frozen=True, eq=False)
class MeshTime:
    """How long each row takes, without a barrier, (rows,) each.

    Attributes:
        seconds: till the last event.
        compute: of these, what the core that sent the last packet took for somas and for sending.
        traffic: what that packet and those before it waited for room, and its travel.
        memory: what it waited for its target and was served there. The three add up.
        core: index of the core of the last event, -1 where nothing happens, int64.
        blocked: packets that waited for room, int64.
        routes: (x, y, x, y) of source and target -> packets that waited for room between them.
    """

    seconds: Array
    compute: Array
    traffic: Array
    memory: Array
    core: Array
    blocked: Array
    routes: Mapping[tuple[int, int, int, int], int] = field(default_factory=dict)


def mesh_time(messages: Messages, mesh: Mesh) -> MeshTime:
    """Return how long each row takes."""
    rows = messages.offsets.size - 1
    held = np.zeros(messages.source.size, bool)
    ends = [_one_row(messages, mesh, row, held) for row in range(rows)]
    found = np.array(ends, np.float64).reshape(rows, 5)
    return summed(messages, mesh, found, held)


def summed(messages: Messages, mesh: Mesh, found: Array, held: Array) -> MeshTime:
    """Return a MeshTime from what an implementation found.

    Args:
        messages, mesh: what it was given.
        found: seconds, compute, traffic, memory and core of each row, float64 (rows, 5).
        held: which packets waited for room, bool (m,).
    """
    row = np.repeat(np.arange(len(found)), np.diff(messages.offsets))
    ends, counts = np.unique(
        np.stack([messages.source[held], messages.target[held]]), axis=1, return_counts=True
    )
    routes: dict[tuple[int, int, int, int], int] = {}
    for a, b, count in zip(*ends.tolist(), counts.tolist(), strict=True):
        way = (int(mesh.x[a]), int(mesh.y[a]), int(mesh.x[b]), int(mesh.y[b]))
        routes[way] = routes.get(way, 0) + count
    seconds, compute, traffic, memory, core = found.T
    blocked = np.bincount(row[held], minlength=len(found))
    return MeshTime(seconds, compute, traffic, memory, core.astype(np.int64), blocked, routes)


def _one_row(messages: Messages, mesh: Mesh, row: int, held: Array) -> tuple[float, ...]:
    """Return (seconds, compute, traffic, memory, core) of a row; `held` is written."""
    first, end = (int(at) for at in messages.offsets[row : row + 2])
    rest = messages.rest[row].tolist()
    load: dict[tuple[int, int, int], float] = {}  # of the places on ways
    busy, late = [0.0] * messages.cores, [0.0] * messages.cores
    flying: list[tuple[float, int]] = []
    serving = 0.0
    last = (0.0, 0.0, 0.0, 0.0, -1.0)

    at = first
    while at < end and messages.source[at] == HOST:
        target = int(messages.target[at])
        busy[target] += float(messages.serve[at])
        last = max(last, (busy[target], 0.0, 0.0, busy[target], float(target)), key=_when)
        at += 1

    leaving: list[tuple[float, int, int]] = []  # time, core, packet: the next one of each core
    begun = set()
    for packet in range(at, end):
        core = int(messages.source[packet])
        if core not in begun:
            begun.add(core)
            leaving.append((float(messages.wait[packet]), core, packet))
    for core in range(messages.cores):
        if core not in begun:
            last = max(last, (rest[core], rest[core], 0.0, 0.0, float(core)), key=_when)
    heapq.heapify(leaving)

    while leaving:
        time, core, packet = heapq.heappop(leaving)
        while flying and flying[0][0] <= time:
            _, landed = heapq.heappop(flying)
            places = _places(messages, mesh, landed)
            for place in places:
                load[place] -= 1.0 / (len(places) + 1)
            serving -= float(messages.serve[landed])
        if not flying:  # nothing is left of what rounding left
            serving = 0.0
            load.clear()
        target, places = int(messages.target[packet]), _places(messages, mesh, packet)
        links = len(places) - 1
        crowd = 0.0
        for place in places:
            crowd += load.get(place, 0.0)
        mean = serving / len(flying) if flying else 0.0
        room = float(mesh.buffer * (links + 1))
        wait = (crowd - room) * mean if crowd > room else 0.0
        held[packet] = crowd > room
        late[core] += wait
        sent = time + wait
        travel = max(_hops(mesh, core, target), crowd * mean / (links + 1))
        arrived = sent + travel
        begins = max(arrived, busy[target])
        ends = begins + float(messages.serve[packet])
        busy[target] = ends
        for place in places:
            load[place] = load.get(place, 0.0) + 1.0 / (links + 2)
        serving += float(messages.serve[packet])
        heapq.heappush(flying, (begins, packet))
        here = (ends, sent - late[core], late[core] + travel, ends - arrived, float(target))
        last = max(last, here, key=_when)
        if packet + 1 < end and messages.source[packet + 1] == core:
            heapq.heappush(leaving, (sent + float(messages.wait[packet + 1]), core, packet + 1))
        else:
            done = sent + rest[core]
            last = max(last, (done, done - late[core], late[core], 0.0, float(core)), key=_when)
    return last if last[0] > 0 else (0.0, 0.0, 0.0, 0.0, -1.0)


def _when(end: tuple[float, ...]) -> float:
    return end[0]


def _hops(mesh: Mesh, core: int, target: int) -> float:
    along = abs(int(mesh.x[target]) - int(mesh.x[core])) * mesh.hop_x
    across = abs(int(mesh.y[target]) - int(mesh.y[core])) * mesh.hop_y
    return float(along + across)


def _places(messages: Messages, mesh: Mesh, packet: int) -> list[tuple[int, int, int]]:
    """Return the port of the core and the links of the way of a packet, in order."""
    core, target = int(messages.source[packet]), int(messages.target[packet])
    x, y, to_x, to_y = (int(at) for at in (mesh.x[core], mesh.y[core], mesh.x[target],
                                           mesh.y[target]))  # fmt: skip
    found = [(-1, core, 0)]
    while x != to_x:
        found.append((x, y, 0 if to_x > x else 1))
        x += 1 if to_x > x else -1
    while y != to_y:
        found.append((x, y, 2 if to_y > y else 3))
        y += 1 if to_y > y else -1
    return found
