"""Fetching from hubs: from a stand-in of Hugging Face on this machine, and with no hub in reach."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from farm import digests, sources
from farm.modelref import ModelKind, ModelRef
from tests.security.model_files import write_checkpoint, write_preset

COMMIT = "0123456789abcdef0123456789abcdef01234567"
NOWHERE = "http://127.0.0.1:9"
SCRIPT = """
import sys
from pathlib import Path
from farm import modelref
from farm.errors import FarmError
from pipeline.models import fetching, hubs
hubs.PAUSES = (0.1, 0.1)
target, scratch = Path(sys.argv[2]), Path(sys.argv[3])
try:
    print(fetching.fetch(modelref.parse(sys.argv[1]), target, digest=None, scratch=scratch, report=lambda *_: None))
except FarmError as error:
    print(type(error).__name__, error.sentence)
"""


class HuggingFace(BaseHTTPRequestHandler):
    """As much of the Hub's protocol as a download needs. `repositories`: name -> folder."""

    repositories: ClassVar[dict[str, Path]] = {}
    requested: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.requested.append(path)
        for name, folder in self.repositories.items():
            if path.startswith(f"/api/models/{name}/tree/"):
                self._json([self._entry(folder, file) for file in sorted(folder.rglob("*")) if file.is_file()])
                return
            if path.startswith(f"/api/models/{name}"):
                files = [{"rfilename": file.relative_to(folder).as_posix()} for file in folder.rglob("*.*")]
                self._json({"id": name, "modelId": name, "sha": COMMIT, "private": False, "siblings": files})
                return
            file = folder / path.removeprefix(f"/{name}/resolve/{COMMIT}/")
            if path.startswith(f"/{name}/resolve/") and file.is_file():
                self._send(200, file.read_bytes(), {"ETag": f'"{digests.of_file(file)}"', "X-Repo-Commit": COMMIT})
                return
        if path.startswith("/api/models/gated"):
            self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
        else:
            self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"} if path != "/" else {})

    @staticmethod
    def _entry(folder: Path, file: Path) -> dict[str, object]:
        size = file.stat().st_size
        return {"type": "file", "path": file.relative_to(folder).as_posix(), "size": size, "oid": digests.of_file(file)}

    def _json(self, value: object) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the stand-in, with a preset and a Transformers checkpoint."""
    root = tmp_path_factory.mktemp("hub")
    write_preset(root / "preset")
    (root / "preset" / "README.md").write_text("about")
    (root / "preset" / "evil.pkl").write_bytes(b"not wanted")
    write_checkpoint(root / "checkpoint")
    HuggingFace.repositories = {"org/preset": root / "preset", "org/checkpoint": root / "checkpoint"}
    server = ThreadingHTTPServer(("127.0.0.1", 0), HuggingFace)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetch(reference: str, tmp_path: Path, hub: str) -> str:
    """Fetch in a process of its own, for the clients read their settings when they are imported; its answer."""
    proxies = {name: "" for name in os.environ if name.lower().endswith("_proxy")}
    environment = {**os.environ, **proxies, "HOME": str(tmp_path), "HF_ENDPOINT": hub, "KAGGLE_API_ENVIRONMENT": "TEST"}
    command = [sys.executable, "-c", SCRIPT, reference, str(tmp_path / "source"), str(tmp_path / "scratch")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip().splitlines()[-1]


@pytest.mark.parametrize("name", ["preset", "checkpoint"])
def test_what_loading_needs_is_downloaded_and_nothing_else(name: str, hub: str, tmp_path: Path) -> None:
    HuggingFace.requested.clear()
    original = ModelRef(ModelKind.FOLDER, str(HuggingFace.repositories[f"org/{name}"]))
    assert fetch(f"hf://org/{name}", tmp_path, hub) == sources.digest(original)
    files = {path.relative_to(tmp_path / "source").as_posix() for path in (tmp_path / "source").rglob("*.*")}
    assert files == set(sources.files(original))
    assert not any(path.endswith((".pkl", ".md")) for path in HuggingFace.requested)


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("hf://org/missing", "There is no public model org/missing"),
        ("hf://gated/model", "only to those who accepted its terms"),
        ("hf://no valid name", "no reference to a Hugging Face model"),
        ("kaggle://keras/gpt2", "no reference to a Kaggle model"),
    ],
)
def test_references_to_nothing(reference: str, words: str, hub: str, tmp_path: Path) -> None:
    answer = fetch(reference, tmp_path, hub)
    assert answer.startswith("ModelNotFound ")
    assert words in answer
    assert not (tmp_path / "source").exists()


@pytest.mark.parametrize("reference", ["gpt2_base_en", "kaggle://keras/gpt2/keras/gpt2_base_en", "hf://org/preset"])
def test_without_a_network_one_sentence_says_so_at_once(reference: str, tmp_path: Path) -> None:
    started = time.monotonic()
    answer = fetch(reference, tmp_path, NOWHERE)
    assert time.monotonic() - started < 20
    assert answer.startswith("HubUnreachable ")
    assert "can't be reached" in answer
    assert "HTTPS_PROXY" in answer
    assert "examples/tiny_gpt2" in answer
    assert not (tmp_path / "source").exists()
