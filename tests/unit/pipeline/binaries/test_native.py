"""Headers of native libraries and of dex files."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pipeline.binaries import native

Elf = Callable[[int, list[tuple[int, int]]], bytes]
Dex = Callable[[list[str], list[int]], bytes]

LOAD, NOTE = 1, 4
ARM64, X86_64, RISCV = 183, 62, 243


@pytest.mark.parametrize(("machine", "abi"), [(ARM64, "arm64-v8a"), (X86_64, "x86_64"), (RISCV, None)])
def test_the_machine_is_told(elf: Elf, machine: int, abi: str | None) -> None:
    assert native.read_library(elf(machine, [(LOAD, 16384)])).abi == abi


def test_the_smallest_alignment_of_the_loaded_segments_counts(elf: Elf) -> None:
    library = native.read_library(elf(ARM64, [(NOTE, 4), (LOAD, 65536), (LOAD, 4096)]))
    assert library.load_alignment == 4096


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no 64-bit"),
        (b"\x7fELF\x01\x01" + bytes(100), "no 64-bit"),
        (b"\x7fELF\x02\x01" + bytes(20), "cut off"),
    ],
)
def test_other_files_are_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        native.read_library(data)


def test_a_library_that_is_cut_off_or_has_nothing_to_load_is_refused(elf: Elf) -> None:
    with pytest.raises(ValueError, match="cut off"):
        native.read_library(elf(ARM64, [(LOAD, 16384)])[:100])
    with pytest.raises(ValueError, match="no segment to load"):
        native.read_library(elf(ARM64, [(NOTE, 4)]))


def test_only_defined_classes_are_listed(dex: Dex) -> None:
    long_name = "La/" + "b" * 200 + ";"
    found = native.defined_classes(dex(["La/Main;", "Landroid/app/Activity;", long_name], [0, 2]))
    assert found == {"a.Main", "a." + "b" * 200}


def test_what_is_no_dex_file_is_refused(dex: Dex) -> None:
    with pytest.raises(ValueError, match="no dex file"):
        native.defined_classes(b"PK\x03\x04")
    with pytest.raises(ValueError, match="cut off"):
        native.defined_classes(dex(["La/Main;"], [0])[:-40])
