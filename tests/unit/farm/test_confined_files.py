from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from farm.confined_files import NotConfined, confined

WHY = {
    "out by a relative link": "outside", "out by an absolute link": "outside", "above": "outside",
    "folder that leads out": "outside", "circle": "missing", "nowhere": "missing", "pipe": "special",
    "folder": "special",
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "model"
    (made / "assets/tokenizer").mkdir(parents=True)
    (made / "assets/tokenizer/merges.txt").write_text("merges")
    (made / "weights").write_text("weights")
    (tmp_path / "secret").write_text("secret")
    return made


def read(folder: Path, name: str) -> str:
    with confined(folder) as opened, opened.open(name) as stream:
        return stream.read().decode()


def test_files_and_links_inside_are_read(folder: Path, tmp_path: Path) -> None:
    (folder / "near").symlink_to("weights")
    (folder / "assets/far").symlink_to("../near")
    (folder / "named").symlink_to(folder / "assets/tokenizer/merges.txt")
    (folder / "linked").symlink_to("assets/tokenizer")
    (tmp_path / "other name").symlink_to(folder)
    for name in ("weights", "near", "assets/far", "assets/../weights"):
        assert read(folder, name) == "weights"
    for name in ("assets/tokenizer/merges.txt", "named", "linked/merges.txt"):
        assert read(tmp_path / "other name", name) == "merges"


@pytest.mark.parametrize("kind", WHY)
def test_nothing_else_is_opened(folder: Path, tmp_path: Path, kind: str) -> None:
    name = "file"
    targets = {
        "out by a relative link": "../secret", "out by an absolute link": "/etc/passwd", "circle": "file",
        "nowhere": "missing",
    }  # fmt: skip
    if kind in targets:
        (folder / name).symlink_to(targets[kind])
    elif kind == "above":
        name = "assets/../../secret"
    elif kind == "folder that leads out":
        (folder / "out").symlink_to(tmp_path)
        name = "out/secret"
    elif kind == "pipe":
        os.mkfifo(folder / name)
    else:
        (folder / name).mkdir()
    with pytest.raises(NotConfined) as caught:
        read(folder, name)
    assert caught.value.why == WHY[kind]


def test_the_folder_is_the_one_that_was_opened(folder: Path, tmp_path: Path) -> None:
    with confined(folder) as opened:
        folder.rename(tmp_path / "moved")
        folder.mkdir()
        (folder / "weights").symlink_to("/etc/passwd")
        with opened.open("weights") as stream:
            assert stream.read() == b"weights"


def test_no_descriptor_is_left(folder: Path) -> None:
    (folder / "out").symlink_to("assets/tokenizer/../../../secret")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("out", "assets/tokenizer/merges.txt", "assets", "missing"):
        with suppress(NotConfined):
            read(folder, name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
