"""Telling others that a job has ended: signed, to checked addresses only, tried again from the database.

The request is that of standardwebhooks.com: the headers webhook-id, webhook-timestamp and webhook-signature, the last
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` with the secret that came with the job.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import httpx

from db import jobs, webhooks
from db.records import JobRecord
from db.session import Database, now
from db.webhooks import DueWebhook
from farm.errors import FarmError
from farm.logs import printable
from farm.webhooks import signature
from server import addresses
from server.addresses import AddressRefused
from server.settings import ServerSettings

MAX_BACKOFF = 3600.0
_log = logging.getLogger("farm.server")


class WebhookSender:
    """Delivers what is due: one thread that asks the database, and one for each delivery under way."""

    def __init__(self, database: Database, settings: ServerSettings) -> None:
        self._database = database
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)
        self._senders = ThreadPoolExecutor(settings.webhook_senders, thread_name_prefix="webhook")
        # Asking for a name's address can't be broken off: a delivery that is past its time leaves the question behind.
        self._resolvers = ThreadPoolExecutor(settings.webhook_senders, thread_name_prefix="webhook-name")
        # Reading the certificates takes longer than all else that a delivery computes.
        self._certificates = httpx.create_ssl_context(trust_env=False)
        self._places = threading.Semaphore(settings.webhook_senders)
        self._under_way: Counter[str] = Counter()
        self._counting = threading.Lock()

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the deliveries that are under way; what is not delivered stays in the database."""
        self._stop.set()
        self._thread.join()
        self._senders.shutdown()
        self._resolvers.shutdown(wait=False)

    def deliver_next(self) -> bool:
        """Deliver what has waited longest; False when nothing is due."""
        due = self._take()
        if due is not None:
            self._deliver(due)
        return due is not None

    def _run(self) -> None:
        while not self._stop.is_set():
            if not self._places.acquire(timeout=self._settings.webhook_poll):
                continue
            due = None
            try:
                due = self._take()
            except FarmError as error:
                _log.error("webhooks: %s", error.sentence)
            if due is None:
                self._places.release()
                self._stop.wait(self._settings.webhook_poll)
            else:
                self._senders.submit(self._deliver_and_make_room, due)

    def _take(self) -> DueWebhook | None:
        with self._counting:
            full = [token for token, count in self._under_way.items() if count >= self._settings.webhook_per_token]
        due = webhooks.take_due(self._database, 3 * self._settings.webhook_timeout, full)
        if due is not None and due.token_id is not None:
            with self._counting:
                self._under_way[due.token_id] += 1
        return due

    def _deliver_and_make_room(self, due: DueWebhook) -> None:
        try:
            self._deliver(due)
        except FarmError as error:
            # It is due again after its time; nothing is lost.
            _log.error("webhooks: %s", error.sentence)
        finally:
            self._places.release()

    def _deliver(self, due: DueWebhook) -> None:
        """Try once, and record what came of it, whatever that is."""
        try:
            with self._database.read() as connection:
                job = jobs.get(connection, due.job_id)
            refusal = self._post(due, body(job))
            if refusal is None:
                webhooks.end(self._database, due.id, "delivered", delivered=True)
            elif due.tries >= self._settings.webhook_tries:
                webhooks.end(self._database, due.id, refusal, delivered=False)
                _log.warning("webhook %d of job %s is given up: %s", due.id, due.job_id, printable(refusal))
            else:
                seconds = min(MAX_BACKOFF, self._settings.webhook_backoff * 2 ** (due.tries - 1))
                webhooks.postpone(self._database, due.id, refusal, seconds)
        finally:
            if due.token_id is not None:
                with self._counting:
                    self._under_way[due.token_id] -= 1

    def _post(self, due: DueWebhook, content: bytes) -> str | None:
        """Send it; the reason when it was not taken in time."""
        try:
            return asyncio.run(asyncio.wait_for(self._request(due, content), self._settings.webhook_timeout))
        except TimeoutError:
            return f"there was no answer within {self._settings.webhook_timeout:g} s"
        except (httpx.HTTPError, AddressRefused) as error:
            return str(error)[:200] or type(error).__name__
        except Exception as error:  # noqa: BLE001 # a stranger's address and server: whatever they do is a failed try
            return f"the address can't be used ({type(error).__name__})"

    async def _request(self, due: DueWebhook, content: bytes) -> str | None:
        timestamp = str(int(now().timestamp()))
        identifier = f"{due.job_id}-{due.id}"
        url = httpx.URL(due.url)
        host = url.host
        port = url.port or (443 if url.scheme == "https" else 80)
        # Connected to is the address that was checked, not the name, which may lead elsewhere a moment later.
        resolving = partial(addresses.resolve, host, port, private=self._settings.webhook_private)
        address = await asyncio.get_running_loop().run_in_executor(self._resolvers, resolving)
        headers = {
            "content-type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(due.secret, identifier, timestamp, content),
            "host": url.netloc.decode("ascii"),
        }
        # No proxy of the environment, no redirect: either would lead past the check. The body is never read.
        timeout = self._settings.webhook_timeout
        async with (
            httpx.AsyncClient(
                verify=self._certificates, trust_env=False, follow_redirects=False, timeout=timeout
            ) as client,
            client.stream(
                "POST",
                url.copy_with(host=address, username=None, password=None),
                content=content,
                headers=headers,
                extensions={"sni_hostname": host},
            ) as answer,
        ):
            return None if answer.is_success else f"the answer was {answer.status_code}"


def body(job: JobRecord) -> bytes:
    """What is sent of a job."""
    content = {
        "type": "job.ended",
        "job": {
            "id": job.id,
            "state": job.state.value,
            "model": job.spec.model_ref.short_name,
            "recipe": job.spec.recipe,
            "finished_at": job.finished_at.isoformat() if job.finished_at else None,
            "error": {"code": job.error_code, "message": job.error_sentence} if job.error_code else None,
        },
    }
    return json.dumps(content).encode()
