"""Secrets that were planted where secrets are, and looked for everywhere else."""

from __future__ import annotations

import json
import logging
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from db import tokens
from db.models import Base, Webhook
from farm.access import Quotas, Scope
from farm.states import JobState
from server import admission
from server.app import make_app
from server.settings import ServerSettings
from tests.faults.yard import Yard

# Each stage but the first, which may use the hubs' tokens, prints all of its environment into its log.
CURIOUS = {stage: ["environment", None] for stage in ("check", "convert", "verify", "app", "package", "bundle")}


class CommandLines:
    """Looks at the command lines of all processes as long as the block lasts."""

    def __init__(self) -> None:
        self.seen: set[bytes] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> CommandLines:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    self.seen.add(path.read_bytes())
                except OSError:
                    continue


class Listener(BaseHTTPRequestHandler):
    def do_POST(self) -> None:  # the name that the library calls
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing to stderr."""


@contextmanager
def listening() -> Iterator[str]:
    """An address that takes webhooks."""
    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.mark.goal(id="S7")
def test_planted_secrets_are_nowhere_else(
    make_farm, trial, place: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """In logs, the database, command lines and artifacts, after a job over the API has ended, well and badly."""
    caplog.set_level(logging.DEBUG)
    planted = {name: f"planted-{secrets.token_hex(20)}" for name in (
        "HF_TOKEN", "KAGGLE_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "STORY_PASSWORD", "webhook", "file",
    )}  # fmt: skip
    for name, secret in planted.items():
        if name.isupper():
            monkeypatch.setenv(name, secret)
    # A plan is no reference that the API would take.
    monkeypatch.setattr(admission, "admit", lambda _database, _store, spec, _owner: spec)
    yard: Yard = make_farm(max_attempts=1)
    (yard.settings.keys / "farm" / "password").write_text(planted["file"])
    server = ServerSettings(embedded_worker=False, webhook_private=True, webhook_poll=0.05)
    app = make_app(yard.settings, server)
    database = app.state.farm.database
    token = tokens.create(database, "x", [Scope.SUBMIT, Scope.READ], Quotas()).secret
    planted["token"] = token
    headers = {"Authorization": f"Bearer {token}"}
    answers = []
    yard.start_worker()
    with CommandLines() as looked_at, listening() as url, TestClient(app) as client:
        for number in range(trial.size(1, 10)):
            for plan in (CURIOUS, CURIOUS | {"convert": ["exit", 3]}):
                spec = {"model_kind": "preset", "model": json.dumps(plan | {"seed": number})}
                webhook = {"url": url, "secret": planted["webhook"]}
                submitted = client.post("/v1/jobs", headers=headers, json={"spec": spec, "webhook": webhook})
                job = yard.wait(submitted.json()["job"]["id"])
                assert job.state is (JobState.SUCCEEDED if plan is CURIOUS else JobState.FAILED)
                answers += [submitted.text, client.get(f"/v1/jobs/{job.id}/logs", headers=headers).text]
        yard.until(lambda: undelivered(database) == 0)
        written = rows(database)
    seen = {
        "logs": b"".join(path.read_bytes() for path in yard.settings.home.rglob("*.log")) + caplog.text.encode(),
        "answers": "".join(answers).encode(),
        "database": written,
        "artifacts": b"".join(path.read_bytes() for path in (yard.settings.store / "blobs").iterdir()),
        "command lines": b"\n".join(looked_at.seen),
    }
    hits = [
        (name, place) for name, secret in planted.items() for place, text in seen.items() if secret.encode() in text
    ]
    sizes = ", ".join(f"{len(text) >> 10} KiB of {name}" for name, text in seen.items())
    trial.measured(f"{len(planted)} secrets, {len(hits)} hits in {sizes}")
    assert hits == []
    # The control: what was looked through is not empty, and holds what it should.
    assert b"FARM_STAGE_MARK" in seen["logs"]
    assert b"postgres" in seen["command lines"] or b"stub_stage" in seen["command lines"]
    assert b'"format"' in seen["artifacts"]


def undelivered(database) -> int:
    with database.read() as connection:
        return connection.scalar(sa.select(sa.func.count()).where(Webhook.next_at.is_not(None))) or 0


def rows(database) -> bytes:
    """Every row of every table, as a backup has them."""
    with database.read() as connection:
        return b"\n".join(
            repr(tuple(row)).encode()
            for table in Base.metadata.sorted_tables
            for row in connection.execute(sa.select(table))
        )
