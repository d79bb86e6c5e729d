"""What Prometheus reads: the farm's state, asked of the database at each scrape, and the requests of this process."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.exposition import generate_latest
from prometheus_client.registry import Collector

from db import outbox, statistics
from db.session import Database, now
from server.overview import worker_views


class FarmCollector(Collector):
    """The farm's state, the same whichever API process is asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def collect(self) -> Iterator[Metric]:
        """One look at the database."""
        with self._database.read() as connection:
            states = statistics.jobs_by_state(connection)
            waiting = outbox.waiting(connection)
            unpublished = sum(outbox.unpublished(connection).values())
            oldest = statistics.oldest_queued(connection)
            times = statistics.stage_times(connection)
            failures = statistics.failures(connection)
            workers = worker_views(connection, None)
        jobs = GaugeMetricFamily("farm_jobs", "Jobs by state.", labels=["state"])
        for state, count in states.items():
            jobs.add_metric([state.value], count)
        yield jobs
        queues = GaugeMetricFamily("farm_queue_jobs", "Jobs that wait, by the kind of worker.", labels=["queue"])
        for queue, count in waiting.items():
            queues.add_metric([queue.value], count)
        yield queues
        yield GaugeMetricFamily("farm_outbox", "Wake-ups that the broker has not got yet.", value=unpublished)
        waits = (now() - oldest).total_seconds() if oldest else 0.0
        yield GaugeMetricFamily("farm_queue_age_seconds", "How long the next job has been waiting.", value=waits)
        seconds = SummaryMetricFamily("farm_stage_seconds", "Time of stages whose results are kept.", labels=["stage"])
        for each in times:
            seconds.add_metric([each.stage.value], each.count, each.seconds)
        yield seconds
        failed = CounterMetricFamily("farm_attempt_failures", "Attempts that failed, by reason.", labels=["code"])
        for code, count in failures.items():
            failed.add_metric([code], count)
        yield failed
        found = GaugeMetricFamily("farm_workers", "Registered workers by state.", labels=["state"])
        for activity in ("busy", "idle", "dead"):
            found.add_metric([activity], sum(worker.state == activity for worker in workers))
        yield found


class Metrics:
    """One application's metrics."""

    def __init__(self, database: Database) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(FarmCollector(database))
        labels = ("method", "route", "status")
        self.requests = Counter("farm_http_requests", "Answered requests.", labels, registry=self._registry)
        self.seconds = Histogram(
            "farm_http_request_seconds", "Time to the answer's head.", ("method", "route"), registry=self._registry
        )

    def text(self) -> bytes:
        """The exposition in Prometheus's text format."""
        return generate_latest(self._registry)
