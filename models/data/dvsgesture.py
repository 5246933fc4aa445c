"""DVS128 Gesture: eleven gestures before an event camera, long recordings in AEDAT 3.1 files.

A file is text lines that begin with #, up to `#!END-HEADER`, then packets: 28 bytes of header
(int16 type, source; int32 event size, timestamp offset, overflow, capacity, number, valid) and
capacity * size bytes. A polarity event (type 1) is a uint32 with valid (bit 0), polarity (1),
y (2 .. 16), x (17 .. 31), and an int32 of microseconds, to which overflow * 2**31 is added
(iniVation, AEDAT 3.1; Amir et al. 2017, CVPR). A .csv beside it cuts the recording into trials.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np

from spikeport.compiler.errors import LoadError
from spikeport.compiler.kinds import Array
from spikeport.compiler.load import files
from spikeport.models.data.dataset import Dataset
from spikeport.models.data.events import MOST_EVENTS, Binning, Events, check_events, recordings
from spikeport.models.data.folders import lacks, needed

FILES = "trials_to_train.txt, trials_to_test.txt, userNN_LIGHT.aedat and userNN_LIGHT_labels.csv"
LISTS = {"train": "trials_to_train.txt", "test": "trials_to_test.txt"}
SIDE = 128
CLASSES = 11
POLARITY = 1
HEADER = struct.Struct("<hhiiiiii")
EVENT = np.dtype([("data", "<u4"), ("t", "<i4")])
LONGEST_TEXT = 1 << 20  # bytes of a list, of labels, of a file's header
LARGEST_PACKET = 1 << 26  # bytes
MOST_PACKETS = 1 << 20


class Trial(NamedTuple):
    """One gesture: microseconds [start, end) of a recording."""

    path: Path
    start: int
    end: int


def dvsgesture(
    folder: Path | None = None,
    *,
    steps: int = 60,
    bin_width: float | None = None,
    factor: int = 4,
    counts: bool = False,
) -> Dataset:
    """Open DVS128 Gesture: spikes (steps, 2, 128 / factor, 128 / factor), one sample a trial.

    Only the packets of a trial are read for it.

    Args:
        folder: DvsGesture, as unpacked.
        steps, bin_width, factor, counts: see Binning. Without a width a trial, some 6 s, is
            divided into equal steps.

    Raises:
        DataError, LoadError: no such folder or files; what is wrong with a recording when it is
            read.
    """
    folder = needed(folder, "dvsgesture", FILES)
    binning = Binning(SIDE, SIDE, steps, bin_width, factor, counts)
    splits = {}
    for name, listed in LISTS.items():
        if (folder / listed).is_file():
            trials, labels = _trials(folder, listed)
            splits[name] = recordings(trials, labels, read_trial, binning)
    if not splits:
        raise lacks(folder, "dvsgesture", FILES)
    source = "DVS128 Gesture (Amir et al. 2017, IBM), CC BY 4.0; its split by users"
    return Dataset("dvsgesture", splits, CLASSES, source)


def read_trial(trial: Trial) -> Events:
    """Return the events of one trial, times from its start.

    Raises:
        LoadError: not AEDAT 3.1, truncated, or a pixel outside of the sensor.
    """
    path, start, end = trial
    with files.naming(path.name):
        files.first_bytes(path)
        found = path.stat()
        packets = _packets(path, found.st_size, found.st_mtime_ns)
        wanted = packets[(packets["last"] >= start) & (packets["first"] < end)]
        if wanted["count"].sum() > MOST_EVENTS:
            raise LoadError(f"a trial has more than {MOST_EVENTS} events", fix="check the labels")
        parts = [np.zeros(0, EVENT)]
        times = [np.zeros(0, np.int64)]
        with path.open("rb") as file:
            for packet in wanted:
                file.seek(int(packet["offset"]))
                parts.append(_events(file.read(int(packet["count"]) * EVENT.itemsize)))
                times.append(parts[-1]["t"].astype(np.int64) + (int(packet["overflow"]) << 31))
        t, data = np.concatenate(times), np.concatenate(parts)["data"].astype(np.int64)
        kept = (t >= start) & (t < end) & (data & 1 == 1)
        t, data = t[kept] - start, data[kept]
        events = Events(data >> 17, data >> 2 & 0x7FFF, t, data >> 1 & 1)
        return check_events(events, SIDE, SIDE)


PACKET = np.dtype([(name, "<i8") for name in ("offset", "count", "overflow", "first", "last")])


@lru_cache(maxsize=256)
def _packets(path: Path, size: int, changed: int) -> Array:
    """Return where the polarity packets of a file are and which times they hold.

    `size` and `changed` are the file's, so that one that was replaced is looked at again.
    """
    found: list[tuple[int, ...]] = []
    with path.open("rb") as file:
        at = _end_of_header(file.read(LONGEST_TEXT))
        for _ in range(MOST_PACKETS):
            if at == size:
                return np.array(found, PACKET)
            file.seek(at)
            head = file.read(HEADER.size)
            if len(head) < HEADER.size:
                break
            kind, _, width, _, overflow, capacity, number, _ = HEADER.unpack(head)
            body = at + HEADER.size
            at = body + capacity * width
            if not 0 <= number <= capacity or width < 1 or at > size or overflow < 0:
                break
            if kind == POLARITY and number:
                if width != EVENT.itemsize or capacity * width > LARGEST_PACKET:
                    break
                first = int(_events(file.read(width))["t"][0])
                file.seek(body + (number - 1) * width)
                last = int(_events(file.read(width))["t"][0])
                wraps = overflow << 31
                found.append((body, number, overflow, wraps + first, wraps + last))
    raise LoadError(
        f"the packet before byte {min(at, size)} is damaged",
        "the file is truncated, or no AEDAT 3.1",
        "unpack or download it again",
    )


def _events(raw: bytes) -> Array:
    return np.frombuffer(raw[: len(raw) // EVENT.itemsize * EVENT.itemsize], EVENT)


def _end_of_header(text: bytes) -> int:
    end = text.find(b"#!END-HEADER\r\n")
    if not text.startswith(b"#!AER-DAT3.1") or end < 0:
        raise LoadError(
            "this is not an AEDAT 3.1 file",
            f"it looks like {files.looks_like(text[:512])}",
            "use the recordings as they were published",
        )
    return end + len(b"#!END-HEADER\r\n")


def _trials(folder: Path, listed: str) -> tuple[list[Trial], Array]:
    trials: list[Trial] = []
    labels: list[int] = []
    for name in filter(None, map(str.strip, _text(folder / listed).splitlines())):
        if Path(name).name != name or not name.endswith(".aedat"):
            raise LoadError(f"{listed}: {name[:60]!r} is not the name of a recording")
        if not (folder / name).is_file():
            raise LoadError(f"{listed}: the recording {name} is missing", fix="unpack it again")
        cuts = folder / (name.removesuffix(".aedat") + "_labels.csv")
        for label, start, end in _rows(cuts):
            trials.append(Trial(folder / name, start, end))
            labels.append(label - 1)
    return trials, np.array(labels, np.int64)


def _rows(path: Path) -> list[tuple[int, int, int]]:
    """Return (class from 1, start, end) of each trial."""
    _, *lines = _text(path).splitlines() or [""]
    try:
        rows = [tuple(map(int, line.split(","))) for line in lines if line.strip()]
    except ValueError:
        rows = [()]
    good = [
        (row[0], row[1], row[2])
        for row in rows
        if len(row) == 3 and 1 <= row[0] <= CLASSES and 0 <= row[1] < row[2] < 1 << 50
    ]
    if len(good) != len(rows):
        raise LoadError(
            f"{path.name}: a row is not a trial",
            f"rows are class (1 .. {CLASSES}), start and end in microseconds, after a first line",
            "unpack or download it again",
        )
    return good


def _text(path: Path) -> str:
    files.first_bytes(path)
    if path.stat().st_size > LONGEST_TEXT:
        raise LoadError(f"{path.name}: the list is too long", f"the limit is {LONGEST_TEXT} bytes")
    return path.read_text(encoding="ascii", errors="replace")
