"""Webhooks: whom they may reach, how they are signed, when they are tried again."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import sqlalchemy as sa
from pydantic import ValidationError

from db import claims, jobs, webhooks
from db.jobs import Submitted
from db.models import Webhook
from db.session import Database, now, open_database
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from farm.webhooks import signature
from server import addresses
from server.addresses import AddressRefused
from server.requests import WebhookRequest
from server.settings import ServerSettings
from server.webhooks import WebhookSender

SECRET = "a-secret-of-some-length"  # noqa: S105
PRIVATE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254",
    "100.64.0.1", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1",
    "240.0.0.1", "255.255.255.255", "::", "::1", "::127.0.0.1", "::a00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
    "::ffff:169.254.169.254", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1",
    "2001:0:7f00:1::1", "2001:db8::1", "2002:7f00:1::", "2002:a00:1::", "2002:a9fe:a9fe::", "fc00::1", "fd12::1",
    "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff0e::1",
]  # fmt: skip
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.216.34", "2606:4700::1111", "2002:808:808::", "::ffff:8.8.8.8"]


@dataclass
class Listener:
    """Keeps what is posted, and answers with these statuses in turn, then with 204."""

    statuses: list[int] = field(default_factory=list)
    taken: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/hook?x=1"


@pytest.fixture
def listener() -> Iterator[Listener]:
    state = Listener()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.taken.append(({key.lower(): value for key, value in self.headers.items()}, body))
            status = state.statuses.pop(0) if state.statuses else 204
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1/elsewhere")
            self.end_headers()

        def log_message(self, *_arguments: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        state.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield state
        server.shutdown()
        thread.join()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = open_database(f"sqlite:///{tmp_path / 'farm.db'}")
    yield opened
    opened.close()


def submit(database: Database, url: str, *, ended: bool = True) -> str:
    spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en")

    def also(connection: sa.Connection, submitted: Submitted) -> None:
        webhooks.add(connection, submitted.job_id, url, SECRET)

    job_id = jobs.submit(database, spec, "key", [StageName.FETCH], lambda _artifacts: True, also).job_id
    if ended:
        end(database)
    return job_id


def end(database: Database) -> None:
    held = claims.claim(database, "worker", 60)
    assert held is not None
    with database.write() as connection:
        claims.finish(connection, held)


def row(database: Database) -> sa.Row:
    with database.read() as connection:
        return connection.execute(sa.select(Webhook.__table__)).one()


def sender(database: Database, **changes) -> WebhookSender:
    return WebhookSender(database, ServerSettings(webhook_private=True, webhook_backoff=0.001, **changes))


@pytest.mark.parametrize("address", PRIVATE)
def test_addresses_that_are_not_public(address: str) -> None:
    """S5: 42 of them, also wrapped in other forms."""
    assert not addresses.is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    assert addresses.is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.1", "0x7f000001", "2130706433", "017700000001", "0"])
def test_names_and_odd_forms_of_private_addresses(host: str) -> None:
    with pytest.raises(AddressRefused):
        addresses.resolve(host, 80, private=False)


def test_one_private_address_spoils_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(2, 1, 6, "", ("8.8.8.8", 80)), (2, 1, 6, "", ("10.0.0.1", 80))]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_keywords: found)
    with pytest.raises(AddressRefused):
        addresses.resolve("twofold.example", 80, private=False)
    assert addresses.resolve("twofold.example", 80, private=True) == "8.8.8.8"


def test_nothing_is_sent_to_a_private_address(database: Database, listener: Listener) -> None:
    submit(database, listener.url)
    assert WebhookSender(database, ServerSettings()).deliver_next()
    assert listener.taken == []
    assert "not public" in row(database).outcome


def test_a_delivery_is_signed(database: Database, listener: Listener) -> None:
    job_id = submit(database, listener.url)
    assert sender(database).deliver_next()
    ((headers, content),) = listener.taken
    assert headers["host"] == f"localhost:{listener.port}"
    identifier, timestamp = headers["webhook-id"], headers["webhook-timestamp"]
    assert abs(now().timestamp() - int(timestamp)) < 60
    digest = hmac.new(SECRET.encode(), f"{identifier}.{timestamp}.".encode() + content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
    assert signature(SECRET + "x", identifier, timestamp, content) != headers["webhook-signature"]
    told = json.loads(content)
    assert (told["type"], told["job"]["id"], told["job"]["state"]) == ("job.ended", job_id, "succeeded")
    assert (row(database).delivered, row(database).secret, row(database).next_at) == (True, None, None)
    assert not sender(database).deliver_next()


def test_nothing_is_sent_before_the_job_has_ended(database: Database, listener: Listener) -> None:
    submit(database, listener.url, ended=False)
    assert not sender(database).deliver_next()
    end(database)
    assert sender(database).deliver_next()
    assert len(listener.taken) == 1


def test_a_failed_delivery_is_tried_again_later(database: Database, listener: Listener) -> None:
    listener.statuses = [500, 302, 204]
    submit(database, listener.url)
    for outcome in ("the answer was 500", "the answer was 302", "delivered"):
        with database.write() as connection:
            connection.execute(sa.update(Webhook).values(next_at=now() - timedelta(seconds=1)))
        assert sender(database).deliver_next()
        assert row(database).outcome == outcome
    assert len(listener.taken) == 3
    assert {headers["webhook-id"] for headers, _ in listener.taken} == {listener.taken[0][0]["webhook-id"]}


def test_the_wait_doubles_and_ends(database: Database) -> None:
    submit(database, "http://127.0.0.1:9/nobody")
    waits = []
    for _ in range(4):
        with database.write() as connection:
            connection.execute(sa.update(Webhook).values(next_at=now() - timedelta(seconds=1)))
        before = now()
        assert WebhookSender(
            database, ServerSettings(webhook_private=True, webhook_backoff=100, webhook_tries=4)
        ).deliver_next()
        due = row(database).next_at
        waits.append(None if due is None else round((due.replace(tzinfo=before.tzinfo) - before).total_seconds(), -2))
    assert waits == [100, 200, 400, None]
    assert (row(database).delivered, row(database).secret) == (False, None)


def test_one_delivery_is_not_taken_twice(database: Database) -> None:
    submit(database, "http://example.org/")
    assert webhooks.take_due(database, busy_seconds=60) is not None
    assert webhooks.take_due(database, busy_seconds=60) is None


@pytest.mark.parametrize("url", ["http://xn--/", "http://[::1", "http://a..b/", "http://\udcff/", "http://x:99999/"])
def test_an_address_that_cannot_be_read_is_a_failed_try(database: Database, url: str, listener: Listener) -> None:
    """It was taken by an earlier version, or gets past the check: the next webhook is delivered all the same."""
    if url.isascii():
        submit(database, url)
        assert sender(database, webhook_tries=1).deliver_next()
        assert not row(database).delivered
        assert row(database).next_at is None
    with pytest.raises(ValidationError):
        WebhookRequest(url=url, secret=SECRET)


@pytest.mark.goal(id="A7")
def test_two_hundred_receivers_that_never_answer_hold_up_nobody(database: Database, listener: Listener, trial) -> None:
    """A7: they accept, and send a byte of the answer's head now and then; the good one is served meanwhile."""
    with socket.create_server(("127.0.0.1", 0), backlog=500) as silent:
        port = silent.getsockname()[1]
        ended = threading.Event()

        def drip() -> None:
            taken: list[socket.socket] = []
            silent.settimeout(0.02)
            while not ended.is_set():
                with suppress(TimeoutError):
                    taken.append(silent.accept()[0])
                for one in taken:
                    with suppress(OSError):
                        one.send(b"H")
            for one in taken:
                one.close()

        thread = threading.Thread(target=drip)
        thread.start()
        spec = JobSpec(model_kind=ModelKind.PRESET, model="gpt2_base_en")
        urls = [f"http://localhost:{port}/{number}" for number in range(200)] + [listener.url]
        for number, url in enumerate(urls):
            also = partial(webhooks_add, url)
            jobs.submit(database, spec, str(number), [StageName.FETCH], lambda _artifacts: True, also)
            end(database)
        running = sender(database, webhook_timeout=0.5, webhook_poll=0.01)
        running.start()
        started = time.monotonic()
        try:
            with database.read() as connection:
                last = connection.scalar(sa.select(sa.func.max(Webhook.id)))
            # Behind 200 of them in the queue, 64 at a time, half a second each.
            for _ in range(600):
                with database.read() as connection:
                    good = connection.execute(sa.select(Webhook.delivered).where(Webhook.id == last)).scalar_one()
                if good:
                    break
                ended.wait(0.05)
            trial.measured(f"200 hostile receivers: the good one behind them in {time.monotonic() - started:.1f} s")
            assert good
        finally:
            running.stop()
            ended.set()
            thread.join()


def webhooks_add(url: str, connection: sa.Connection, submitted: Submitted) -> None:
    webhooks.add(connection, submitted.job_id, url, SECRET)
