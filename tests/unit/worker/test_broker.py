"""How the Celery application is set up; what goes over the wire is tested against a real Redis."""

from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import SettingsInvalid
from farm.settings import Settings
from worker import broker


def settings(tmp_path: Path, url: str | None) -> Settings:
    return Settings(home=tmp_path, broker_url=url)


def test_wake_ups_only(tmp_path: Path) -> None:
    conf = broker.connect(settings(tmp_path, "redis://127.0.0.1:1/0")).conf
    assert (conf.accept_content, conf.task_serializer, conf.task_ignore_result) == (["json"], "json", True)
    assert (conf.result_backend, conf.task_acks_late, conf.worker_prefetch_multiplier) == (None, False, 1)
    assert (conf.worker_pool, conf.worker_enable_remote_control) == ("worker.tasks.pool:TaskPool", False)
    assert {queue.name for queue in conf.task_queues} == {"convert", "android"}


def test_only_redis_can_leave_wake_ups_to_others(tmp_path: Path) -> None:
    conf = broker.connect(settings(tmp_path, "amqp://127.0.0.1:1//")).conf
    assert not conf.worker_disable_prefetch
    assert [queue.queue_arguments for queue in conf.task_queues] == [{"x-max-priority": 5}] * 2


@pytest.mark.parametrize(
    ("url", "message"), [(None, "set FARM_BROKER_URL"), ("sqla+sqlite:///x", "use redis: or amqp:")]
)
def test_brokers_that_are_refused(tmp_path: Path, url: str | None, message: str) -> None:
    with pytest.raises(SettingsInvalid, match=message):
        broker.connect(settings(tmp_path, url))
