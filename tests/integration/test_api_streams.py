"""A real server on loopback and connections that break: logs, downloads and uploads go on where they ended (R17)."""

from __future__ import annotations

import gzip
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil
import pytest
import uvicorn

from client import transfers
from client.http import HttpFarm
from client.remote import RemoteFarm
from db import claims, stages, tokens
from db.session import Database
from farm import digests, locations, logs
from farm.access import Quotas, Scope
from farm.artifacts import ArtifactName
from farm.errors import FarmUnreachable
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.stages import StageName
from farm.states import JobState
from farm.store import LocalStore
from server import connections, limits
from server.app import make_app
from server.settings import ServerSettings

CUTS = 20


@dataclass
class CuttingTransport(httpx.HTTPTransport):
    """Breaks the first `limit` connections after some bytes, of the answer and of the request alike."""

    chance: random.Random
    longest: int
    limit: int = CUTS
    cuts: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PATCH":
            assert isinstance(request.stream, httpx.SyncByteStream)
            request.stream = CutStream(request.stream, self, httpx.WriteError)
        answer = super().handle_request(request)
        if request.method == "GET" and ("/stream" in request.url.path or "/artifacts/" in request.url.path):
            assert isinstance(answer.stream, httpx.SyncByteStream)
            answer.stream = CutStream(answer.stream, self, httpx.ReadError)
        return answer

    def allowance(self) -> int | None:
        """After how many bytes the next stream breaks; None when it does not."""
        return None if self.cuts >= self.limit else self.chance.randrange(1, self.longest)


class CutStream(httpx.SyncByteStream):
    """Hands out a stream's bytes up to the allowance, then fails as a broken connection does."""

    def __init__(
        self, stream: httpx.SyncByteStream, owner: CuttingTransport, error: type[httpx.TransportError]
    ) -> None:
        self._stream = stream
        self._owner = owner
        self._error = error

    def __iter__(self) -> Iterator[bytes]:
        left = self._owner.allowance()
        for chunk in self._stream:
            if left is not None and len(chunk) >= left:
                yield chunk[:left]
                self._owner.cuts += 1
                raise self._error("cut")
            yield chunk
            left = None if left is None else left - len(chunk)

    def close(self) -> None:
        self._stream.close()


@dataclass(frozen=True)
class Served:
    """A running server. secret: of a token with every scope."""

    url: str
    secret: str
    settings: Settings
    database: Database
    opened: list[HttpFarm] = field(default_factory=list)

    def farm(self, transport: httpx.BaseTransport | None = None) -> RemoteFarm:
        self.opened.append(HttpFarm(self.url, self.secret, httpx.Client(transport=transport, timeout=20)))
        return RemoteFarm(self.opened[-1])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    settings = Settings(home=tmp_path_factory.mktemp("served"))
    app = make_app(settings, ServerSettings(embedded_worker=False))
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", http=connections.ImpatientProtocol)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    database: Database = app.state.farm.database
    secret = tokens.create(database, "all", list(Scope), Quotas()).secret
    running = Served(f"http://127.0.0.1:{port}", secret, settings, database)
    yield running
    for http in running.opened:
        http.close()
    server.should_exit = True
    thread.join()


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfers, "PAUSE_SECONDS", 0.05)


@pytest.mark.goal(id="R17")
def test_followed_logs_lose_and_double_nothing_over_twenty_cuts(served: Served, trial) -> None:
    chance = random.Random(17)  # noqa: S311 # reproducible
    job = served.farm().submit(JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en")).job
    held = claims.claim(served.database, "worker", 600)
    assert held is not None
    expected = [f"{stage.value} line {number} \u2028 é" for stage in StageName for number in range(60)]

    def write() -> None:
        for position, stage in enumerate(StageName):
            with logs.stage_log(served.settings.logs, job.id, position, stage, 1).open("ab", buffering=0) as stream:
                content = b"".join(f"{line}\n".encode() for line in expected if line.startswith(f"{stage.value} "))
                while content:
                    size = chance.randrange(1, 400)
                    stream.write(content[:size])
                    content = content[size:]
                    time.sleep(0.01)
        with served.database.write() as connection:
            claims.finish(connection, held)

    writer = threading.Thread(target=write)
    writer.start()
    transport = CuttingTransport(random.Random(4), longest=900)  # noqa: S311 # reproducible
    found = list(served.farm(transport).logs(job.id, follow=True))
    writer.join()
    lines = [line for line in found if not line.startswith("==")]
    lost, doubled = len(set(expected) - set(lines)), len(lines) - len(set(lines))
    trial.measured(f"{len(expected)} lines over {transport.cuts} cuts: {lost} lost, {doubled} doubled")
    assert transport.cuts == CUTS
    assert lines == expected
    assert found == list(served.farm().logs(job.id))


@pytest.mark.parametrize("sent", [b"", b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n", b"HALF"])
def test_a_connection_that_asks_nothing_ends(served: Served, monkeypatch: pytest.MonkeyPatch, sent: bytes) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(sent)
        while connection.recv(1 << 16):
            pass


def test_half_a_head_after_an_answer_ends_too(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200")
        connection.sendall(b"GET /heal")
        while connection.recv(1 << 16):
            pass


def test_a_body_that_does_not_come_is_answered(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "BODY_SECONDS", 0.3)
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2])), timeout=20) as connection:
        connection.sendall(b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        answer = b""
        while piece := connection.recv(1 << 16):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 408")
    assert b"did not come within" in answer


def test_a_download_goes_on_after_cuts(served: Served, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(8_000_000)  # noqa: S311 # reproducible
    job = served.farm().submit(JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en", recipe="int8")).job
    held = claims.claim(served.database, "worker", 600)
    assert held is not None
    (tmp_path / "draft").write_bytes(content)
    stored = LocalStore(served.settings.store).put({ArtifactName.APK: tmp_path / "draft"})
    with served.database.write() as connection:
        stages.file_artifacts(connection, held, stored)
        claims.finish(connection, held)
    transport = CuttingTransport(random.Random(5), longest=600_000)  # noqa: S311 # reproducible
    served.farm(transport).download(job.id, ArtifactName.APK, tmp_path / "app.apk")
    assert transport.cuts == CUTS
    assert (tmp_path / "app.apk").read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ["app.apk"]


def test_an_upload_goes_on_after_cuts(served: Served, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    path.write_bytes(random.Random(2).randbytes(40_000_000))  # noqa: S311 # reproducible
    transport = CuttingTransport(random.Random(6), longest=4_000_000)  # noqa: S311 # reproducible
    job = served.farm(transport).submit(JobSpec(model_kind=ModelKind.KERAS_FILE, model=str(path))).job
    assert transport.cuts >= 5
    assert (served.settings.store / "blobs" / digests.of_file(path)).stat().st_size == 40_000_000
    assert job.state is JobState.QUEUED


def test_a_farm_that_is_not_there() -> None:
    http = HttpFarm("http://127.0.0.1:9", "farm_x")
    with pytest.raises(FarmUnreachable, match="does not answer"):
        RemoteFarm(http).jobs()
    http.close()


@pytest.mark.goal(id="S11")
def test_the_server_takes_a_large_model_in_little_memory(tmp_path: Path, trial) -> None:
    """500 MB through the real `farm serve`, then an upload that is too large, a body that is, and a gzip bomb."""
    environment = {**os.environ, "FARM_HOME": str(tmp_path / "home"), "PYTHONPATH": str(locations.ROOT),
                   "FARM_CONFIG_HOME": str(tmp_path), "FARM_SERVER_EMBEDDED_WORKER": "false"}  # fmt: skip
    farm = [sys.executable, "-m", "cli.main"]
    made = subprocess.run([*farm, "token", "create", "x"], env=environment, capture_output=True, text=True, check=True)
    port = free_port()
    log = (tmp_path / "server.log").open("wb")
    process = subprocess.Popen([*farm, "serve", "--port", str(port)], env=environment, stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"
        wait_until_ready(url)
        path = tmp_path / "model.keras"
        with path.open("wb") as stream:
            for number in range(500):
                stream.write(number.to_bytes(8, "big") * (1 << 17))
        http = HttpFarm(url, made.stdout.strip())
        before = psutil.Process(process.pid).memory_info().rss
        peak = [before]
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(process.pid, peak, done))
        watcher.start()
        began = time.perf_counter()
        RemoteFarm(http).submit(JobSpec(model_kind=ModelKind.KERAS_FILE, model=str(path)))
        seconds = time.perf_counter() - began
        announced = {"model.keras": {"digest": "0" * 64, "size": 10}}
        http.ask(object, "POST", "/v1/models", json={"files": announced})
        refused = httpx.patch(
            f"{url}/v1/uploads/{'0' * 64}",
            headers={"Authorization": f"Bearer {made.stdout.strip()}", "Upload-Offset": "0"},
            content=(bytes(1 << 20) for _ in range(2000)),
        )
        jobs = {"Authorization": f"Bearer {made.stdout.strip()}", "Content-Type": "application/json"}
        chunks = (b" " * (1 << 20) for _ in range(200))
        large = httpx.post(f"{url}/v1/jobs", headers=jobs, content=chunks)
        bomb = gzip.compress(b" " * (400 << 20))
        assert len(bomb) * 1000 < 400 << 20
        packed = httpx.post(f"{url}/v1/jobs", headers=jobs | {"Content-Encoding": "gzip"}, content=bomb)
        done.set()
        watcher.join()
        grown = (peak[0] - before) >> 20
        statuses = [refused.status_code, large.status_code, packed.status_code]
        trial.measured(
            f"2 GB for 10 bytes, 200 MB of body, 400 MB in {len(bomb) >> 10} KiB: {statuses}; a model of 524 MB in"
            f" {seconds:.1f} s; the server grew by {grown} MiB"
        )
        assert statuses[:2] == [413, 413]
        assert statuses[2] in (413, 422)
        assert grown < 100
        http.close()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
        log.close()


def watch(pid: int, peak: list[int], done: threading.Event) -> None:
    while not done.wait(0.02):
        peak[0] = max(peak[0], psutil.Process(pid).memory_info().rss)


def wait_until_ready(url: str) -> None:
    for _ in range(300):
        try:
            if httpx.get(f"{url}/health/ready").is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError("the server does not answer")


def free_port() -> int:

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
