"""The store in a bucket of an S3 service on loopback does what the store in a folder does."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import fsspec
import pytest
from moto.server import ThreadedMotoServer

from farm import digests
from farm.artifacts import Artifact, ArtifactName
from farm.errors import ArtifactDamaged, ArtifactMissing, SettingsInvalid, StoreUnusable
from farm.settings import Settings
from farm.store import ArtifactStore, LocalStore
from farm.store import bucket as bucket_module
from farm.store.bucket import BucketStore
from farm.store.choice import open_store

# asyncio's event loop of the S3 client is a daemon thread that ends with the process.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


@pytest.fixture(scope="module")
def service() -> Iterator[str]:
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    chosen = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    before = dict(os.environ)
    os.environ.update(chosen)
    yield chosen["AWS_ENDPOINT_URL"]
    os.environ.clear()
    os.environ.update(before)
    server.stop()


@pytest.fixture
def place(service: str, request: pytest.FixtureRequest) -> str:
    """A new bucket's name."""
    name = f"farm-{digests.of_bytes(request.node.nodeid.encode())[:12]}"
    files().mkdir(name)
    return f"{name}/artifacts"


@cache
def files() -> fsspec.AbstractFileSystem:
    return fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True)


@pytest.fixture(params=["folder", "bucket"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    if request.param == "folder":
        return Settings(home=tmp_path / "home", store_url=f"file://{tmp_path}/shared")
    return Settings(home=tmp_path / "home", store_url=f"s3://{request.getfixturevalue('place')}")


@pytest.fixture
def store(settings: Settings) -> ArtifactStore:
    return open_store(settings)


def elsewhere(settings: Settings, tmp_path: Path) -> ArtifactStore:
    """The same store as another machine sees it."""
    return open_store(settings.model_copy(update={"home": tmp_path / "elsewhere"}))


def put_file(store: ArtifactStore, folder: Path, content: bytes) -> Artifact:
    path = folder / "output"
    path.write_bytes(content)
    [artifact] = store.put({ArtifactName.MODEL: path})
    assert not path.exists(), "a stage's output is moved"
    return artifact


def put_folder(store: ArtifactStore, folder: Path) -> Artifact:
    source = folder / "made"
    (source / "assets").mkdir(parents=True)
    (source / "config.json").write_text("{}")
    (source / "assets" / "merges.txt").write_text("a b\n")
    [artifact] = store.put({ArtifactName.SOURCE: source})
    return artifact


def test_another_machine_reads_what_was_put(store: ArtifactStore, settings: Settings, tmp_path: Path) -> None:
    file, folder = put_file(store, tmp_path, b"model"), put_folder(store, tmp_path)
    report = store.put_bytes(ArtifactName.REPORT, b"{}")
    other = elsewhere(settings, tmp_path)
    assert all(other.has(artifact) for artifact in (file, folder, report))
    other.materialise(folder, tmp_path / "inputs" / "source", protected=True)
    assert (tmp_path / "inputs" / "source" / "assets" / "merges.txt").read_text() == "a b\n"
    other.export(file, tmp_path / "out" / "model.tflite")
    assert (tmp_path / "out" / "model.tflite").read_bytes() == b"model"
    with other.open(file) as stream:
        stream.seek(2)
        assert stream.read(2) == b"de"


def test_links_are_refused(store: ArtifactStore, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    with pytest.raises(ArtifactDamaged):
        store.put({ArtifactName.MODEL: tmp_path / "link"})


def test_what_nothing_refers_to_is_removed_once_it_is_old(store: ArtifactStore, tmp_path: Path) -> None:
    folder, file = put_folder(store, tmp_path), put_file(store, tmp_path, b"unused")
    assert store.unreferenced([folder], stored_before=time.time() - 3600) == {}
    unused = store.unreferenced([folder], stored_before=math.inf)
    assert unused == {file.digest: 6}
    assert store.remove(unused, stored_before=time.time() - 3600) == 0
    assert store.has(file)
    assert store.remove(unused, stored_before=math.inf) == 1
    assert store.has(folder)
    assert not store.has(file)
    with pytest.raises(ArtifactMissing):
        store.check(file)


def test_what_is_stored_while_others_remove_it_is_there(
    store: ArtifactStore, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same content is stored again and again while somebody removes it as unreferenced: put() never lies."""
    monkeypatch.setattr(bucket_module, "FRESH_SECONDS", 0.0)
    monkeypatch.setattr(bucket_module, "WAIT_SECONDS", 0.01)
    other = elsewhere(settings, tmp_path)
    ended = threading.Event()
    # What was stored before this time is old. It is never later than the beginning of the turn, so that what a turn
    # stores may not be removed in it, however long it takes; a service tells times in whole seconds.
    old_before = 0.0
    removed = looks = 0

    def remove() -> None:
        nonlocal removed, looks
        while not ended.wait(0.02):
            limit = old_before
            removed += other.remove(other.unreferenced([], stored_before=limit), stored_before=limit)
            looks += 1

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for turn in range(3):
            for _ in range(3):
                artifact = put_file(store, tmp_path, b"the same")
                assert store.has(artifact), turn
                until = looks + 2
                while looks < until:
                    assert remover.is_alive()
                    ended.wait(0.01)
                assert store.has(artifact), f"{turn}: it is not old, and whoever looks for old files leaves it"
            ended.wait(3.5)
            if turn == 1:
                # Once nobody stores it again.
                old_before = time.time() - 1
                while store.has(artifact):
                    ended.wait(0.1)
            # From now on what is there is old, while it is stored again.
            old_before = time.time() - 2
    finally:
        ended.set()
        remover.join()
    assert removed, "the test has seen a removal"


class TestBucket:
    """What only a bucket can show."""

    def make(self, place: str, folder: Path, cache_bytes: int = 1 << 30) -> BucketStore:
        return BucketStore(f"s3://{place}", folder, cache_bytes)

    def test_objects_lie_under_their_hash(self, place: str, tmp_path: Path) -> None:
        artifact = put_file(self.make(place, tmp_path / "a"), tmp_path, b"model")
        assert files().cat_file(f"{place}/blobs/{artifact.digest}") == b"model"

    @pytest.mark.parametrize("bit", [0, 17, 39])
    def test_a_damaged_object_is_seen_and_discarded(self, place: str, tmp_path: Path, bit: int) -> None:
        artifact = put_file(self.make(place, tmp_path / "a"), tmp_path, b"model")
        content = bytearray(b"model")
        content[bit // 8] ^= 1 << bit % 8
        files().pipe_file(f"{place}/blobs/{artifact.digest}", bytes(content))
        other = self.make(place, tmp_path / "b")
        for read in (other.check, other.open, lambda each: other.export(each, tmp_path / "out")):
            with pytest.raises(ArtifactDamaged):
                read(artifact)
        assert not (tmp_path / "out").exists()
        assert list((tmp_path / "b" / "incoming").iterdir()) == []
        other.discard(artifact)
        assert not other.has(artifact)

    def test_a_damaged_file_in_the_folder_is_fetched_again(self, place: str, tmp_path: Path) -> None:
        store = self.make(place, tmp_path / "a")
        artifact = put_file(store, tmp_path, b"model")
        held = tmp_path / "a" / "blobs" / artifact.digest
        held.chmod(0o644)
        held.write_bytes(b"mudel")
        with store.open(artifact) as stream:
            assert stream.read() == b"model"

    def test_the_folder_in_front_stays_small(self, place: str, tmp_path: Path) -> None:
        store = self.make(place, tmp_path / "a", cache_bytes=2500)
        made = [put_file(store, tmp_path, bytes([number]) * 1000) for number in range(3)]
        blobs = tmp_path / "b" / "blobs"
        other = self.make(place, tmp_path / "b", cache_bytes=2500)
        for age, artifact in zip((9000, 8000), made, strict=False):
            other.check(artifact)
            status = (blobs / artifact.digest).stat()
            os.utime(blobs / artifact.digest, ns=(status.st_atime_ns - age * 10**9, status.st_mtime_ns))
        other.check(made[2])
        assert {path.name for path in blobs.iterdir()} == {made[1].digest, made[2].digest}
        other.check(made[0])

    def test_a_service_that_is_away_is_one_sentence(
        self, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        with pytest.raises(StoreUnusable, match="AWS_ENDPOINT_URL"):
            self.make(place, tmp_path / "a").put_bytes(ArtifactName.REPORT, b"{}")

    def test_a_bucket_that_is_not_there_is_one_sentence(self, service: str, tmp_path: Path) -> None:
        with pytest.raises(StoreUnusable, match="bucket"):
            self.make("no-such-bucket/x", tmp_path / "a").put_bytes(ArtifactName.REPORT, b"{}")


def test_a_store_on_another_disk_is_refused(tmp_path: Path) -> None:
    if Path("/dev/shm").stat().st_dev == tmp_path.stat().st_dev:  # noqa: S108
        pytest.skip("Shared memory is on the disk of the temporary files; mount it as a tmpfs to run this test.")
    folder = Path("/dev/shm") / f"farm-{os.getpid()}"  # noqa: S108
    try:
        with pytest.raises(SettingsInvalid, match="different disks"):
            open_store(Settings(home=tmp_path, store_url=f"file://{folder}"))
    finally:
        folder.rmdir()


def test_without_a_url_the_store_lies_in_the_farms_home(tmp_path: Path) -> None:
    assert isinstance(open_store(Settings(home=tmp_path)), LocalStore)
