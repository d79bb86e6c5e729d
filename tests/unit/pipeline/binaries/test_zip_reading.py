"""Zip archives that people hand in: damage, encryption and bombs are one sentence each."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from farm.errors import FileUnreadable
from pipeline.binaries import zip_reading

SENTENCE = "app.apk is a damaged package; download it again."


def packed(path: Path, content: bytes, name: str = "a") -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return path


def read_all(path: Path) -> bytes:
    with zip_reading.opened(path, FileUnreadable, SENTENCE) as archive:
        return b"".join(archive.read(name) for name in archive.namelist())


def test_a_sound_archive_is_read(tmp_path: Path) -> None:
    assert read_all(packed(tmp_path / "app.apk", b"content")) == b"content"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = packed(tmp_path / "app.apk", bytes(1 << 20))
    assert len(read_all(path)) == 1 << 20
    monkeypatch.setattr(zip_reading, "RATIO_FLOOR", 1 << 16)
    with pytest.raises(FileUnreadable, match="damaged package"):
        read_all(path)


def test_what_is_encrypted_or_not_to_be_unpacked_is_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "app.apk", b"content")
    whole = path.read_bytes()
    directory = whole.index(b"PK\x01\x02")
    # The flags, the method, the version that is needed, and the first bytes of what is packed.
    for place, value in (
        (directory + 8, 1),
        (directory + 10, 12),
        (directory + 10, 99),
        (directory + 6, 255),
        (31, 255),
    ):
        path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
        with pytest.raises(FileUnreadable) as raised:
            read_all(path)
        assert raised.value.sentence == SENTENCE


def test_an_archive_cut_anywhere_is_refused(tmp_path: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"content")
    for length in range(len(stream.getvalue())):
        (tmp_path / "app.apk").write_bytes(stream.getvalue()[:length])
        with pytest.raises(FileUnreadable):
            read_all(tmp_path / "app.apk")


def test_another_error_stays_what_it_is(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_all(tmp_path / "none.apk")
