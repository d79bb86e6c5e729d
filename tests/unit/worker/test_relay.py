from __future__ import annotations

from pathlib import Path

import pytest
from celery import Celery
from kombu import Connection

from db import jobs, outbox
from db.session import open_database
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.stages import Queue, StageName
from worker import broker
from worker.relay import Relay


def test_what_is_on_its_way_is_not_announced_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what the broker holds nor what the outbox does; what was lost is, at once."""
    database = open_database(f"sqlite:///{tmp_path / 'farm.db'}", announcing=True)
    for name in ("one", "two", "three"):
        spec = JobSpec(model_kind=ModelKind.PRESET, model=name)
        jobs.submit(database, spec, spec.key("code"), [StageName.FETCH], lambda _: True)
    published: list[str] = []
    held = 0
    monkeypatch.setattr(broker, "messages", lambda *_: held)
    monkeypatch.setattr(broker, "publish", lambda *words, **_: published.append(words[2]))
    settings = Settings(home=tmp_path, forgotten_seconds=-1.0)
    relay = Relay(settings, database, Celery(), Connection("memory://"))

    def waiting() -> int:
        with database.read() as connection:
            return outbox.unpublished(connection)[Queue.CONVERT]

    relay._sweep()
    assert waiting() == 3, "all three are in the outbox"
    assert relay.turn() == 3
    held = 3
    relay._sweep()
    assert waiting() == 0, "all three are with the broker"
    held = 1
    relay._sweep()
    assert waiting() == 2, "two were lost"
    relay._sweep()
    assert waiting() == 2, "and are on their way again"
    database.close()
