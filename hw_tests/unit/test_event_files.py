"""Recordings of events: how they become steps, each file format, and what is refused in it."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from hw_tests.made_events import by_hand, made, message
from spikeport.compiler.errors import DataError, LoadError
from spikeport.models.data.event_files import read_events
from spikeport.models.data.events import Binning, Events, bin_events
from spikeport.models.data.library import open_data
from spikeport.models.data.nmnist import read_nmnist

# ---- binning


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_each_event_is_counted_in_its_step_polarity_and_pixel(factor):
    events = made()
    binning = Binning(34, 34, 20, bin_width=0.01, factor=factor, counts=True)
    counts = bin_events(events, binning)
    assert counts.shape == (20, 2, -(-34 // factor), -(-34 // factor))
    assert np.array_equal(counts, by_hand(events, binning, 10_000))
    spikes = bin_events(events, Binning(34, 34, 20, bin_width=0.01, factor=factor))
    assert np.array_equal(spikes, np.minimum(counts, 1))


def test_without_a_width_the_recording_is_divided_into_the_steps():
    t = np.array([0, 99, 100, 299])
    zero = np.zeros(4, np.int64)
    binned = bin_events(Events(zero, zero, t, zero), Binning(1, 1, 3, counts=True))
    assert binned.ravel()[::2].tolist() == [2, 1, 1]


def test_counts_stop_at_255_and_no_events_are_silence():
    zero = np.zeros(300, np.int64)
    assert bin_events(Events(zero, zero, zero, zero), Binning(1, 1, 1, counts=True)).max() == 255
    none = np.zeros(0, np.int64)
    assert not bin_events(Events(none, none, none, none), Binning(3, 3, 5)).any()


def test_a_late_event_is_left_out_however_late():
    zero, late = np.zeros(1, np.int64), np.array([(1 << 50) - 1])
    binning = Binning(1 << 14, 1 << 13, 1, bin_width=1e-6)
    assert not bin_events(Events(zero, zero, late, zero), binning).any()


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 2.0}, "steps is 2.0"),
        ({"factor": 0}, "factor is 0"),
        ({"height": -1}, "height is -1"),
        ({"bin_width": 0.0}, "bin_width is 0.0"),
        ({"bin_width": float("nan")}, "bin_width is nan"),
        ({"height": 30_000, "width": 30_000}, "use fewer steps or a larger factor"),
    ],
)
def test_a_binning_that_cannot_be_is_refused(given, told):
    with pytest.raises(DataError) as caught:
        Binning(**{"height": 4, "width": 4, "steps": 5, **given})
    assert told in str(caught.value)


# ---- N-MNIST


def nmnist_bytes(events: Events) -> bytes:
    columns = [events.x, events.y, events.p << 7 | events.t >> 16, events.t >> 8, events.t]
    return np.stack([each & 255 for each in columns], axis=1).astype(np.uint8).tobytes()


def nmnist_folder(folder: Path, *raw: bytes) -> Path:
    for digit in range(10):
        (folder / "Train" / str(digit)).mkdir(parents=True)
        content = raw[digit % len(raw)]
        (folder / "Train" / str(digit) / "00001.bin").write_bytes(content)
    return folder


def test_nmnist_files_are_read_one_by_one(tmp_path):
    first, second = made(1), made(2)
    folder = nmnist_folder(tmp_path, nmnist_bytes(first), nmnist_bytes(second))
    for other in (".00002.bin", "notes.txt"):
        (folder / "Train" / "4" / other).write_text("no recording")
    data = open_data("nmnist", folder, counts=True)
    train = data.split("train")
    assert (train.shape, train.labels.tolist()) == ((30, 2, 34, 34), list(range(10)))
    (folder / "Train" / "5" / "00001.bin").unlink()  # nobody asks for it
    binning = Binning(34, 34, 30, 0.01, counts=True)
    expected = np.stack([by_hand(each, binning, 10_000) for each in (second, first)])
    assert np.array_equal(train.read(np.array([3, 8])), expected)
    assert "there is no such file" in message(data, 5)


def test_the_clock_of_nmnist_wraps_where_a_row_240_says_so(tmp_path):
    events = Events(*np.array([[1, 0, 2], [3, 240, 4], [7, 9, 11], [1, 0, 0]]))
    (tmp_path / "a.bin").write_bytes(nmnist_bytes(events))
    read = read_nmnist(tmp_path / "a.bin")
    assert (read.x.tolist(), read.y.tolist(), read.p.tolist()) == ([1, 2], [3, 4], [1, 0])
    assert read.t.tolist() == [7, 11 + 8192]


def test_a_damaged_nmnist_file_is_refused_by_name(tmp_path):
    outside = nmnist_bytes(Events(*np.array([[3, 34], [3, 3], [0, 1], [0, 1]])))
    folder = nmnist_folder(tmp_path, nmnist_bytes(made())[:-2], outside)
    data = open_data("nmnist", folder)
    assert message(data, 0).startswith("00001.bin: the file has 998 bytes: an event has 5")
    assert "event 1 has x = 34: the sensor is 34 pixels wide" in message(data, 1)


def test_nmnist_without_all_of_its_digits_is_refused(tmp_path):
    (tmp_path / "Train" / "3").mkdir(parents=True)
    with pytest.raises(LoadError, match="a class without recordings"):
        open_data("nmnist", tmp_path)
    (tmp_path / "Train" / "3" / "a.bin").write_bytes(b"12345")
    with pytest.raises(LoadError, match="Train has the folders 3"):
        open_data("nmnist", tmp_path)


# ---- DVS128 Gesture


def packet(events: Events, kind: int = 1, overflow: int = 0, **wrong: int) -> bytes:
    data = events.x << 17 | events.y << 2 | events.p << 1 | 1
    body = np.stack([data, events.t], axis=1).astype("<u4").tobytes()
    n = len(data)
    fields = {"size": 8, "capacity": n, "number": n, **wrong}
    head = struct.pack(
        "<hhiiiiii", kind, 1, fields["size"], 4, overflow, fields["capacity"], fields["number"], n
    )
    return head + body


AEDAT = b"#!AER-DAT3.1\r\n#Format: RAW\r\n#!END-HEADER\r\n"


def gesture_folder(folder: Path, raw: bytes, rows: str = "2,1000,2000\n11,2000,90000\n") -> Path:
    (folder / "trials_to_train.txt").write_text("user01_led.aedat\n\n")
    (folder / "user01_led.aedat").write_bytes(raw)
    labels = folder / "user01_led_labels.csv"
    labels.write_text("class,startTime_usec,endTime_usec\n" + rows)
    return folder


def test_a_trial_has_the_events_between_its_start_and_end(tmp_path):
    one, two, three = (made(seed, 300, 128, 128, last=3000) for seed in range(3))
    two = Events(two.x, two.y, two.t + 3000, two.p)
    raw = AEDAT + packet(one) + packet(three, kind=2) + packet(two)
    data = open_data(
        "dvsgesture", gesture_folder(tmp_path, raw), steps=4, bin_width=1e-3, counts=True
    )
    train = data.split("train")
    assert (train.shape, train.labels.tolist(), data.classes) == ((4, 2, 32, 32), [1, 10], 11)
    for index, (start, end) in enumerate([(1000, 2000), (2000, 90_000)]):
        whole = [np.concatenate([getattr(one, c), getattr(two, c)]) for c in "xytp"]
        inside = (whole[2] >= start) & (whole[2] < end)
        x, y, t, p = (column[inside] for column in whole)
        expected = by_hand(Events(x, y, t - start, p), Binning(128, 128, 4, factor=4), 1000)
        assert expected.any()
        assert np.array_equal(train.read(np.array([index]))[0], expected)


def test_times_of_aedat_go_on_after_an_overflow(tmp_path):
    event = Events(*np.array([[5], [6], [7], [1]]))
    folder = gesture_folder(
        tmp_path, AEDAT + packet(event, overflow=1), f"1,{1 << 31},{(1 << 31) + 9}\n"
    )
    read = open_data("dvsgesture", folder, steps=9, bin_width=1e-6, factor=1).split("train")
    assert np.argwhere(read.read(np.array([0]))[0]).tolist() == [[7, 1, 6, 5]]


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"#!AER-DAT2.0\r\n", "this is not an AEDAT 3.1 file"),
        (AEDAT + packet(made(count=9))[:-1], "damaged: the file is truncated"),
        (AEDAT + packet(made(count=9))[:20], "damaged: the file is truncated"),
        (AEDAT + packet(made(count=9), number=10), "damaged: the file is truncated"),
        (AEDAT + packet(made(count=9), capacity=-9), "damaged: the file is truncated"),
        (AEDAT + packet(made(count=9), size=0), "damaged: the file is truncated"),
        (AEDAT + packet(made(count=9), size=1 << 30), "damaged: the file is truncated"),
        (AEDAT + packet(made(0, 9, 128, 999, last=500)), "the sensor is 128 pixels high"),
    ],
)
def test_a_damaged_aedat_file_is_refused_by_name(raw, told, tmp_path):
    data = open_data("dvsgesture", gesture_folder(tmp_path, raw, "1,0,9000\n"))
    assert message(data).startswith("user01_led.aedat: ")
    assert told in message(data)


@pytest.mark.parametrize("row", ["12,0,5", "0,0,5", "1,5,5", "1,-1,5", "1,2", "a,b,c"])
def test_a_row_that_is_no_trial_is_refused(row, tmp_path):
    with pytest.raises(LoadError, match=r"user01_led_labels\.csv: a row is not a trial"):
        open_data("dvsgesture", gesture_folder(tmp_path, AEDAT, row + "\n"))


def test_a_list_leads_nowhere_else(tmp_path):
    folder = gesture_folder(tmp_path, AEDAT)
    (folder / "trials_to_train.txt").write_text("../user01_led.aedat\n")
    with pytest.raises(LoadError, match="is not the name of a recording"):
        open_data("dvsgesture", folder)
    (folder / "trials_to_train.txt").write_text("user02_led.aedat\n")
    with pytest.raises(LoadError, match=r"the recording user02_led\.aedat is missing"):
        open_data("dvsgesture", folder)


# ---- any recording


def written(path: Path, events: Events, scale: float = 1.0, start: float = 0) -> Path:
    columns = {"x": events.x, "y": events.y, "t": events.t * scale + start, "p": events.p}
    if path.suffix == ".npz":
        np.savez(path, **columns)
    elif path.suffix == ".npy":
        np.save(path, np.stack(list(columns.values()), axis=1))
    else:
        rows = zip(*columns.values(), strict=True)
        path.write_text("".join(f"{x},{y},{t!r},{p}\n" for x, y, t, p in map(plain, rows)))
    return path


def plain(row: tuple) -> tuple:
    return tuple(each.item() for each in row)


@pytest.mark.parametrize("ending", [".npz", ".npy", ".csv"])
@pytest.mark.parametrize(("unit", "scale"), [("us", 1.0), ("ms", 1e-3), ("s", 1e-6)])
def test_events_of_any_file_are_the_same_events(ending, unit, scale, tmp_path):
    events = made()
    path = written(tmp_path / f"a{ending}", events, scale, start=17.0)
    read = read_events(path, height=34, width=34, unit=unit)
    for name in "xytp":
        assert np.array_equal(getattr(read, name), getattr(events, name)), name


def test_a_table_may_name_its_columns_and_polarities_may_be_signed(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("t, p, y, x\n100,-1,2,3\n250,1,0,1\n")
    read = read_events(path, height=4, width=4)
    assert [getattr(read, name).tolist() for name in "xytp"] == [[3, 1], [2, 0], [0, 150], [0, 1]]
    path.write_text("x,y,t,p\n")
    assert len(read_events(path, height=4, width=4).x) == 0


def test_folders_of_recordings_are_classes(tmp_path):
    events = {"left": made(1, 50, 6, 5), "right": made(2, 50, 6, 5)}
    for split in ("train", "test"):
        for name, each in events.items():
            (tmp_path / split / name).mkdir(parents=True)
            written(tmp_path / split / name / "1.npz", each)
    data = open_data("events", tmp_path, height=5, width=6, steps=3, bin_width=0.1, counts=True)
    assert (data.classes, data.split("test").labels.tolist()) == (2, [0, 1])
    expected = by_hand(events["right"], Binning(5, 6, 3), 100_000)
    assert np.array_equal(data.split("train").read(np.array([1]))[0], expected)
    (tmp_path / "test" / "up").mkdir()
    written(tmp_path / "test" / "up" / "1.csv", events["left"])
    with pytest.raises(LoadError, match="test has the classes left, right, up: others have left"):
        open_data("events", tmp_path, height=5, width=6, steps=3)
    with pytest.raises(DataError, match="there is no unit 'min'"):
        open_data("events", tmp_path, height=5, width=6, steps=3, unit="min")


GOOD = {"x": [0, 1], "y": [0, 1], "t": [5, 9], "p": [0, 1]}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"x": [0, -1]}, "event 1 has x = -1: the sensor is 3 pixels wide"),
        ({"x": np.array([0, 2**64 - 1], np.uint64)}, "event 1 has x ="),
        ({"x": np.array([0, -1], np.int8)}, "event 1 has x = -1"),
        ({"y": [0, 2]}, "event 1 has y = 2: the sensor is 2 pixels high"),
        ({"x": [0, 0.5]}, "event 1 has x = 0.5: it is not whole"),
        ({"x": [0, np.nan]}, "event 1 has x = nan"),
        ({"t": [9, 5]}, "time goes back at event 1, from 9 to 5"),
        ({"t": [0, np.inf]}, "a time is not finite"),
        ({"t": [0, 1e300]}, "a time is too large"),
        ({"t": np.array([0, 2**63 - 1])}, "a time is too large"),
        ({"p": [0, 2]}, "event 1 has p = 2: a polarity is 0 or 1"),
        ({"p": [0, -2]}, "event 1 has p = -2"),
        ({"p": [0]}, "are not lists of one length"),
        ({name: [[1]] for name in "xytp"}, "are not lists of one length"),
    ],
)
def test_events_that_cannot_be_are_refused(wrong, told, tmp_path):
    np.savez(tmp_path / "a.npz", **{**GOOD, **wrong})
    with pytest.raises(LoadError) as caught:
        read_events(tmp_path / "a.npz", height=2, width=3)
    assert str(caught.value).startswith("a.npz: ")
    assert told in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.npz", b"PK\x03\x04", "a.npz: the archive is truncated"),
        ("a.csv", b"1,2,3\n", "one event is a row of x, y, t, p"),
        ("a.csv", b"1,2,3,4\n1,2,3\n", "this is no table of numbers"),
        ("a.csv", b"x,y,t\n1,2,3\n", "there is no p"),
        ("a.csv", b"x,x,t,p\n1,2,3,0\n", "names a column twice"),
        ("a.csv", b"1,1,one,1\n", "this is no table of numbers"),
        ("a.csv", b"1,1,1,\xff\n", "this is no table of numbers"),
        ("a.csv", b"", "a.csv: the file is empty"),
        ("a.csv", b"\x00\x01\x02", "this is no table of numbers"),
    ],
)
def test_files_that_hold_no_events_are_refused(name, content, told, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(LoadError) as caught:
        read_events(tmp_path / name, height=2, width=3)
    assert told in str(caught.value)


def test_an_array_of_another_shape_or_a_missing_column_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((5, 3)))
    with pytest.raises(LoadError, match="one event is a row of x, y, t, p"):
        read_events(tmp_path / "a.npy", height=2, width=3)
    np.savez(tmp_path / "a.npz", x=[1], y=[1])
    with pytest.raises(LoadError, match="there is no t and no p: it has x, y"):
        read_events(tmp_path / "a.npz", height=2, width=3)
