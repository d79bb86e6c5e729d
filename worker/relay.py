"""`python -m worker.relay`: publishes the wake-ups of the outbox, and again those of jobs that nobody came for.

Any number may run; a wake-up that two publish is one too many and harms nobody.
"""

from __future__ import annotations

import logging
import signal
import sys
import time
from types import FrameType

from celery import Celery
from kombu import Connection

from db import claims, outbox
from db.session import Database, open_database
from farm import log_lines
from farm import settings as farm_settings
from farm.errors import BrokerUnusable, DatabaseUnusable, FarmError
from farm.settings import Settings
from farm.stages import Queue
from worker import broker
from worker.termination import Reason, Termination

BATCH = 500
# How many jobs of a queue are announced again at a time.
FORGOTTEN_BATCH = 1000
SWEEP_SECONDS = 1.0
AWAY_SECONDS = 1.0
_log = logging.getLogger("farm.relay")


class Relay:
    """One relay with its sweeper."""

    def __init__(self, settings: Settings, database: Database, app: Celery, connection: Connection) -> None:
        self._settings = settings
        self._database = database
        self._app = app
        self._connection = connection
        self._next_sweep = 0.0

    def turn(self) -> int:
        """Publish what is in the outbox, and sweep when it is time; how many were published. BrokerUnusable."""
        if time.monotonic() >= self._next_sweep:
            self._next_sweep = time.monotonic() + SWEEP_SECONDS
            claims.requeue_lost(self._database, [], self._settings.max_attempts)
            self._sweep()
            if self._settings.alive is not None:
                self._settings.alive.touch()
        wake_ups = outbox.pending(self._database, BATCH)
        sent = []
        try:
            for each in wake_ups:
                broker.publish(self._app, self._connection, each.job_id, each.queue, begun=each.started)
                sent.append(each)
        finally:
            outbox.published(self._database, sent)
        return len(sent)

    def _sweep(self) -> None:
        """Announce again what waits for long, unless broker and outbox hold a wake-up for every job that waits.

        Without the outbox in the count, many submissions at once would be announced again and again, and a wake-up
        that was really lost would wait behind all these.
        """
        with self._database.read() as connection:
            waiting = {queue: count for queue, count in outbox.waiting(connection).items() if count}
            on_their_way = outbox.unpublished(connection)
        lacking = {
            queue: min(
                count - on_their_way[queue] - broker.messages(self._app, self._connection, queue), FORGOTTEN_BATCH
            )
            for queue, count in waiting.items()
        }
        wanted = {queue: count for queue, count in lacking.items() if count > 0}
        count = outbox.announce_forgotten(self._database, wanted, self._settings.forgotten_seconds)
        if count:
            _log.info("announced again: %d", count)


def run(settings: Settings) -> None:
    """Relay until SIGTERM or SIGINT, through every absence of the broker and the database."""
    app = broker.connect(settings)
    database = open_database(settings.database, announcing=True, migrate=settings.migrate)
    with Termination() as stopping:

        def stop(_number: int, _frame: FrameType | None) -> None:
            stopping.request(Reason.STOP)

        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            while stopping.reason is None:
                _relay(settings, database, app, stopping)
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
            database.close()


def _relay(settings: Settings, database: Database, app: Celery, stopping: Termination) -> None:
    """Until asked to stop, or until the broker or the database is away; then wait a little, for a new connection."""
    try:
        with broker.translated(), app.connection_for_write() as connection:
            relay = Relay(settings, database, app, connection)
            _declare(connection, app)
            while stopping.reason is None:
                if relay.turn() == 0:
                    stopping.wait(settings.relay_seconds)
    except (BrokerUnusable, DatabaseUnusable) as error:
        _log.warning("%s", error.sentence)
        stopping.wait(AWAY_SECONDS)


def _declare(connection: Connection, app: Celery) -> None:
    for queue in Queue:
        app.amqp.queues[queue.value](connection.default_channel).declare()


def main() -> int:
    """Run with the settings of this process; the exit code."""
    log_lines.begin()
    try:
        run(farm_settings.load())
    except FarmError as error:
        _log.error("%s", error.sentence)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
