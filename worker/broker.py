"""The broker: which messages there are and how they go. A message is a wake-up: the id of a job, and nothing else.

Nothing depends on a message. It may be lost, doubled or late: the worker claims the job in the database, or finds that
there is nothing to claim, and what stays queued is announced again.
"""

from __future__ import annotations

from amqp.exceptions import AMQPError
from celery import Celery
from kombu import Connection
from kombu import Queue as BrokerQueue
from kombu.exceptions import OperationalError

from farm.errors import BrokerUnusable, SettingsInvalid
from farm.settings import Settings
from farm.stages import Queue

WAKE_UP = "farm.wake_up"
# Redis gives out low numbers first, RabbitMQ high ones. A job that was begun goes before new ones.
REDIS_STEPS = (0, 5)
BEGUN, NEW = "begun", "new"
_PRIORITIES = {"redis": {BEGUN: 0, NEW: 5}, "amqp": {BEGUN: 5, NEW: 0}}
CONNECT_SECONDS = 1.0
CONFIRM_SECONDS = 5.0


def connect(settings: Settings) -> Celery:
    """The application that workers and the relay share; SettingsInvalid when there is no broker."""
    if settings.broker_url is None:
        raise SettingsInvalid("This needs a broker; set FARM_BROKER_URL, for example to redis://127.0.0.1:6379/0.")
    redis = _transport(settings.broker_url) == "redis"
    app = Celery("farm", broker=settings.broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["json"],
        task_serializer="json",
        task_ignore_result=True,
        # A wake-up is done with once it was received.
        task_acks_late=False,
        worker_prefetch_multiplier=1,
        # A worker that is busy leaves further wake-ups to the others.
        worker_disable_prefetch=redis,
        # A process that forks around the supervisor would leave its stages behind when it dies.
        worker_pool="worker.tasks.pool:TaskPool",
        worker_enable_remote_control=False,
        worker_send_task_events=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=CONNECT_SECONDS,
        # RabbitMQ says when it has a message; without, one that was sent as it died would pass for published.
        broker_transport_options=_redis_options(settings) if redis else {"confirm_publish": True},
        task_default_queue=Queue.CONVERT.value,
        task_create_missing_queues=False,
        task_queues=[
            BrokerQueue(queue.value, routing_key=queue.value, queue_arguments=None if redis else {"x-max-priority": 5})
            for queue in Queue
        ],
    )
    return app


def publish(app: Celery, connection: Connection, job_id: str, queue: Queue, *, begun: bool) -> None:
    """Wake up some worker of this queue; BrokerUnusable when the broker does not take the message."""
    priority = _PRIORITIES[_transport(app.conf.broker_url)][BEGUN if begun else NEW]
    with translated():
        app.send_task(
            WAKE_UP, (job_id,), queue=queue.value, priority=priority, connection=connection, retry=False,
            ignore_result=True, confirm_timeout=CONFIRM_SECONDS,
        )  # fmt: skip


def messages(app: Celery, connection: Connection, queue: Queue) -> int:
    """How many wake-ups lie in the queue, which is made if it is not there; BrokerUnusable."""
    arguments = app.amqp.queues[queue.value].queue_arguments
    with translated():
        # Not passively: Redis knows no empty queues and would say that there is none.
        declared = connection.default_channel.queue_declare(
            queue.value, durable=True, auto_delete=False, arguments=arguments
        )
        return int(declared.message_count)


class translated:  # noqa: N801 # reads as a word of the with statement
    """What a broker cannot do, as one sentence."""

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, FOREIGN):
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise BrokerUnusable(
                f"The broker cannot be used ({reason}); check FARM_BROKER_URL and that the server runs."
            ) from error


def _custom() -> tuple[type[BaseException], ...]:
    errors: tuple[type[BaseException], ...] = (OperationalError, OSError, AMQPError)
    try:
        from redis.exceptions import RedisError
    except ModuleNotFoundError:
        return errors
    return (*errors, RedisError)


def _transport(url: str) -> str:
    scheme = url.split(":", 1)[0].split("+", 1)[0]
    known = {"redis": "redis", "rediss": "redis", "amqp": "amqp", "amqps": "amqp", "pyamqp": "amqp"}
    if scheme not in known:
        raise SettingsInvalid(
            f"FARM_BROKER_URL begins with {scheme}:, which the farm does not know; use redis: or amqp:."
        )
    return known[scheme]


def _redis_options(settings: Settings) -> dict[str, object]:
    return {
        "visibility_timeout": settings.broker_visibility_seconds,
        "priority_steps": list(REDIS_STEPS),
        "queue_order_strategy": "priority",
        "socket_timeout": 10.0,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_keepalive": True,
        "health_check_interval": 5,
    }


FOREIGN = _custom()
