"""Zip archives: stored, aligned, reproducible."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farm.errors import PackageInvalid
from pipeline.android import archive
from pipeline.android.archive import Member


@given(offset=st.integers(0, 1 << 32), alignment=st.sampled_from([4, 4096, 16384]))
def test_padding_moves_data_to_the_next_multiple(offset: int, alignment: int) -> None:
    extra = archive.padding(offset, alignment)
    assert (offset + len(extra)) % alignment == 0
    assert len(extra) < archive.ALIGNMENT_HEADER.size + alignment
    field, length, multiple = archive.ALIGNMENT_HEADER.unpack_from(extra)
    assert (field, length, multiple) == (0xD935, len(extra) - 4, alignment)


def test_data_lies_where_the_entry_says_and_is_aligned(tmp_path: Path) -> None:
    contents = {"a": b"first", "lib/x/né.so": b"\x7fELF" * 1000, "assets/model": bytes(range(256)) * 300, "z": b""}
    alignments = {"a": 4, "lib/x/né.so": 16384, "assets/model": 16384, "z": 4}
    package = tmp_path / "x.apk"
    archive.write(package, (Member(name, data, alignments[name]) for name, data in contents.items()))

    raw, entries = package.read_bytes(), archive.read_entries(package)
    assert [entry.name for entry in entries] == list(contents)
    for entry in entries:
        assert entry.aligned(alignments[entry.name])
        assert raw[entry.offset : entry.offset + entry.size] == contents[entry.name]
    with zipfile.ZipFile(package) as opened:
        assert opened.testzip() is None


def test_a_file_is_streamed_and_equals_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(251)) * 20_000
    (tmp_path / "model").write_bytes(content)
    archive.write(tmp_path / "file.zip", [Member("m", tmp_path / "model", 16384)])
    archive.write(tmp_path / "bytes.zip", [Member("m", content, 16384)])
    assert (tmp_path / "file.zip").read_bytes() == (tmp_path / "bytes.zip").read_bytes()


def test_a_tree_is_archived_the_same_whatever_the_order_and_the_clock(tmp_path: Path) -> None:
    for folder, names in (("one", "a b/c d"), ("two", "d b/c a")):
        for name in names.split():
            path = tmp_path / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(name)
        archive.write_tree(tmp_path / f"{folder}.jar", tmp_path / folder)
    assert (tmp_path / "one.jar").read_bytes() == (tmp_path / "two.jar").read_bytes()
    assert [entry.name for entry in archive.read_entries(tmp_path / "one.jar")] == ["a", "b/c", "d"]


def test_a_compressed_entry_counts_as_not_aligned(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as target:
        target.writestr("m", b"a" * 1000)
    (entry,) = archive.read_entries(tmp_path / "x.zip")
    assert not entry.stored
    assert not entry.aligned(1)


def test_what_android_does_not_install_is_refused_before_it_is_copied(tmp_path: Path) -> None:
    with (tmp_path / "model").open("wb") as sparse:
        sparse.truncate(archive.MAX_BYTES)
    with pytest.raises(PackageInvalid, match=r"assets/model makes the package larger than the 2 GB"):
        archive.write(tmp_path / "x.apk", [Member("assets/model", tmp_path / "model", 16384)])
    assert (tmp_path / "x.apk").stat().st_size < 1000


@pytest.mark.parametrize("cut", [0, 10, -30, -1])
def test_a_damaged_archive_is_refused_in_one_sentence(tmp_path: Path, cut: int) -> None:
    package = tmp_path / "x.apk"
    archive.write(package, [Member("a", b"content")])
    package.write_bytes(package.read_bytes()[:cut])
    with pytest.raises(PackageInvalid, match=r"x\.apk is no sound zip archive"):
        archive.read_entries(package)


def test_an_entry_without_local_header_is_refused(tmp_path: Path) -> None:
    package = tmp_path / "x.apk"
    archive.write(package, [Member("a", b"content")])
    package.write_bytes(b"XX" + package.read_bytes()[2:])
    with pytest.raises(PackageInvalid, match=r"x\.apk is no sound zip archive"):
        archive.read_entries(package)
