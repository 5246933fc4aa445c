"""Amounts of memory: read, said, and refused before anything is taken."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spikeport.compiler import memory
from spikeport.compiler.errors import DataError, MemoryLimit


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1", 1),
        (4096, 4096),
        ("512B", 512),
        ("2GiB", 2 << 30),
        ("2G", 2 << 30),
        ("2g", 2 << 30),
        ("2GB", 2_000_000_000),
        (" 1.5 MiB ", 3 << 19),
        ("0.5k", 512),
        ("3TiB", 3 << 40),
    ],
)
def test_sizes_are_read_with_their_units(text, size):
    assert memory.in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "GiB", "-1", "2 apples", "2iB", "1e9", "0", "0.1B", "nan"])
def test_what_is_not_a_size_is_refused_with_an_example(text):
    with pytest.raises(DataError) as caught:
        memory.in_bytes(text)
    assert str(caught.value) == (
        f"{text!r} is not an amount of memory: it is a number of bytes above 0, or a number with a "
        "unit\n  fix: write it as 2GiB or 500MB"
    )


@pytest.mark.parametrize(
    ("size", "words"),
    [(0, "0 B"), (999, "999 B"), (1023, "1.00 KiB"), (5 << 20, "5.00 MiB"), (80e9, "74.5 GiB")],
)
def test_sizes_are_said_with_three_digits(size, words):
    assert memory.in_words(size) == words


def test_what_fits_is_not_refused():
    memory.check_memory(100, 100, "a run", "run less")


def test_a_refusal_says_both_figures_and_what_to_do():
    with pytest.raises(MemoryLimit) as caught:
        memory.check_memory(80_000_000_000, 2 << 30, "the dense matrix of 'fc'", "keep the image")
    assert str(caught.value) == (
        "the dense matrix of 'fc' needs 74.5 GiB of memory: 2.00 GiB are allowed\n"
        "  fix: keep the image, or allow it: --max-memory 75GiB (max_memory= in Python)"
    )
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("need", [2, 1023, 1024, 1025, (1 << 30) - 1, (5 << 40) + 1, 1 << 60])
def test_the_advice_of_a_refusal_allows_it(need):
    with pytest.raises(MemoryLimit) as caught:
        memory.check_memory(need, 1, "a run", "run less")
    advised = re.search(r"--max-memory (\S+)", caught.value.fix)[1]
    memory.check_memory(need, memory.in_bytes(advised), "a run", "run less")


def test_without_a_word_four_fifths_of_what_is_free_are_allowed():
    assert memory.allowed_memory("2GiB") == 2 << 30
    free = memory.free_memory()
    assert 0 < free < 1 << 50
    assert 0.5 * free < memory.allowed_memory() < 0.95 * free


def test_a_containers_limit_counts_less_what_can_be_given_back(tmp_path: Path):
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.current").write_text("700\n")
    assert memory._free_of_container(tmp_path) == 300
    (tmp_path / "memory.stat").write_text("anon 400\ninactive_file 250\n")
    assert memory._free_of_container(tmp_path) == 550


def test_without_a_limit_a_container_takes_what_the_machine_has(tmp_path: Path):
    assert memory._free_of_container(tmp_path / "none") > 1 << 60
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("700\n")
    assert memory._free_of_container(tmp_path) > 1 << 60
