"""The content-addressed store."""

from __future__ import annotations

import math
import os
import random
import signal
from pathlib import Path

import pytest

from farm import digests, durable_writes
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ArtifactDamaged, ArtifactMissing, FileUnreadable
from farm.store import COPY_BYTES, LocalStore


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def store(root: Path) -> LocalStore:
    return LocalStore(root)


def put_file(store: LocalStore, folder: Path, content: bytes) -> Artifact:
    path = folder / "output"
    path.write_bytes(content)
    [artifact] = store.put({ArtifactName.MODEL: path})
    assert not path.exists(), "a stage's output is moved"
    return artifact


def put_folder(store: LocalStore, folder: Path) -> Artifact:
    source = folder / "made"
    (source / "assets").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "assets" / "merges.txt").write_text("a b\n")
    [artifact] = store.put({ArtifactName.SOURCE: source})
    return artifact


def test_a_file_lies_under_its_hash_read_only(store: LocalStore, root: Path, tmp_path: Path) -> None:
    artifact = put_file(store, tmp_path, b"model")
    assert artifact == Artifact(ArtifactName.MODEL, digests.of_bytes(b"model"), 5)
    blob = root / "blobs" / artifact.digest
    assert blob.read_bytes() == b"model"
    assert blob.stat().st_mode & 0o777 == 0o444
    assert store.has(artifact)


def test_a_folder_is_its_listing(store: LocalStore, tmp_path: Path) -> None:
    artifact = put_folder(store, tmp_path)
    listing = {
        "config.json": {"digest": digests.of_bytes(b"{}"), "size": 2},
        "assets/merges.txt": {"digest": digests.of_bytes(b"a b\n"), "size": 4},
    }
    assert (artifact.digest, artifact.size) == (digests.of_json(listing), 6)


@pytest.mark.parametrize("protected", [False, True])
def test_materialise_shows_the_same_files(store: LocalStore, tmp_path: Path, protected: bool) -> None:
    artifact = put_folder(store, tmp_path)
    store.materialise(artifact, tmp_path / "inputs" / "source", protected=protected)
    assert (tmp_path / "inputs" / "source" / "assets" / "merges.txt").read_text() == "a b\n"


def test_an_unprotected_small_file_is_a_copy(store: LocalStore, tmp_path: Path) -> None:
    artifact = put_file(store, tmp_path, b"small")
    store.materialise(artifact, tmp_path / "copy", protected=False)
    store.materialise(artifact, tmp_path / "link", protected=True)
    assert (tmp_path / "copy").stat().st_nlink == 1
    assert (tmp_path / "link").stat().st_nlink == 2
    (tmp_path / "copy").write_bytes(b"scribble")
    LocalStore(tmp_path / "store").check(artifact)


def test_a_large_file_is_never_copied(store: LocalStore, tmp_path: Path) -> None:
    artifact = put_file(store, tmp_path, bytes(COPY_BYTES + 1))
    store.materialise(artifact, tmp_path / "link", protected=False)
    assert (tmp_path / "link").stat().st_nlink == 2


def test_export_is_whole_or_not_at_all(store: LocalStore, root: Path, tmp_path: Path) -> None:
    artifact = put_file(store, tmp_path, b"model")
    store.export(artifact, tmp_path / "out" / "model.tflite")
    assert (tmp_path / "out" / "model.tflite").read_bytes() == b"model"
    damage(root / "blobs" / artifact.digest, 0)
    with pytest.raises(ArtifactDamaged):
        store.export(artifact, tmp_path / "out" / "again.tflite")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model.tflite"]


def test_export_of_a_folder(store: LocalStore, tmp_path: Path) -> None:
    store.export(put_folder(store, tmp_path), tmp_path / "copy")
    assert (tmp_path / "copy" / "config.json").read_text() == "{}"


def test_export_to_an_impossible_place(store: LocalStore, tmp_path: Path) -> None:
    artifact = put_file(store, tmp_path, b"model")
    (tmp_path / "file").touch()
    with pytest.raises(FileUnreadable, match="choose another place"):
        store.export(artifact, tmp_path / "file" / "model.tflite")


def damage(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.chmod(0o644)
    path.write_bytes(content)


def test_every_single_bit_flip_is_seen(root: Path, tmp_path: Path) -> None:
    """R12: 1,000 flips, over a file and a folder's listing and files."""
    store = LocalStore(root)
    artifacts = [put_file(store, tmp_path, bytes(range(250)) * 2), put_folder(store, tmp_path)]
    chance = random.Random(2)  # noqa: S311 # reproducible
    blobs = sorted((root / "blobs").iterdir())
    for _ in range(1000):
        blob = chance.choice(blobs)
        bit = chance.randrange(blob.stat().st_size * 8)
        damage(blob, bit)
        seen = 0
        for artifact in artifacts:
            try:
                LocalStore(root).check(artifact)
            except ArtifactDamaged:
                seen += 1
        assert seen == 1
        damage(blob, bit)


def test_the_same_process_sees_a_later_change(store: LocalStore, root: Path, tmp_path: Path) -> None:
    artifact = put_file(store, tmp_path, b"model")
    store.check(artifact)
    damage(root / "blobs" / artifact.digest, 3)
    with pytest.raises(ArtifactDamaged):
        store.check(artifact)


def test_missing(store: LocalStore, root: Path, tmp_path: Path) -> None:
    file, folder = put_file(store, tmp_path, b"model"), put_folder(store, tmp_path)
    (root / "blobs" / file.digest).unlink()
    (root / "blobs" / digests.of_bytes(b"{}")).unlink()
    for artifact in (file, folder):
        assert not store.has(artifact)
        with pytest.raises(ArtifactMissing):
            store.check(artifact)


def test_discard_removes_what_is_damaged_and_nothing_else(store: LocalStore, root: Path, tmp_path: Path) -> None:
    artifact = put_folder(store, tmp_path)
    damage(root / "blobs" / digests.of_bytes(b"{}"), 1)
    store.discard(artifact)
    left = {path.name for path in (root / "blobs").iterdir()}
    assert left == {artifact.digest, digests.of_bytes(b"a b\n")}


def test_links_are_refused(store: LocalStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactDamaged):
        store.put({ArtifactName.MODEL: tmp_path / "link"})
    (tmp_path / "folder").symlink_to("/etc/ssl")
    with pytest.raises(ArtifactDamaged):
        store.put({ArtifactName.SOURCE: tmp_path / "folder"})
    (tmp_path / "made").mkdir()
    (tmp_path / "made" / "link").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactDamaged):
        store.put({ArtifactName.SOURCE: tmp_path / "made"})


def test_remove_unreferenced_keeps_what_is_used(store: LocalStore, root: Path, tmp_path: Path) -> None:
    folder, file = put_folder(store, tmp_path), put_file(store, tmp_path, b"unused")
    unused = store.unreferenced([folder], stored_before=math.inf)
    assert unused == {file.digest: 6}
    assert store.remove(unused, stored_before=math.inf) == 1
    assert store.has(folder)
    assert not store.has(file)


def test_remove_incoming(store: LocalStore, root: Path) -> None:
    store.put_bytes(ArtifactName.REPORT, b"{}")
    (root / "incoming" / "left").write_bytes(b"half")
    assert store.remove_incoming() == 1
    assert list((root / "incoming").iterdir()) == []


def test_a_forked_process_has_threads_of_its_own(tmp_path: Path) -> None:
    def sealed(folder: str) -> int:
        (tmp_path / folder).mkdir()
        paths = [tmp_path / folder / str(number) for number in range(3)]
        for path in paths:
            path.write_text(folder)
        return len(durable_writes.write_durably(paths))

    assert sealed("parent") == 3
    pid = os.fork()
    if pid == 0:
        # Without threads of its own it would wait forever.
        signal.alarm(20)
        os._exit(sealed("child"))
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
