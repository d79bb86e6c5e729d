"""Telling others that a job has ended: signed, to checked addresses only, tried again from the database.

The request is that of standardwebhooks.com: the headers webhook-id, webhook-timestamp and webhook-signature, the last
`v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` with the secret that came with the job.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import logging
import threading
from datetime import timedelta

import httpx

from db import jobs, webhooks
from db.records import JobRecord
from db.session import Database, now
from db.webhooks import DueWebhook
from farm.errors import FarmError
from server import addresses
from server.addresses import AddressRefused
from server.settings import ServerSettings

MAX_BACKOFF = 3600.0
_log = logging.getLogger("farm.server")


class WebhookSender:
    """Delivers what is due, in a thread of its own."""

    def __init__(self, database: Database, settings: ServerSettings) -> None:
        self._database = database
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="webhooks", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End after the delivery that is under way; what is not delivered stays in the database."""
        self._stop.set()
        self._thread.join()

    def deliver_next(self) -> bool:
        """Deliver what has waited longest; False when nothing is due."""
        due = webhooks.take_due(self._database, busy_seconds=3 * self._settings.webhook_timeout)
        if due is None:
            return False
        with self._database.read() as connection:
            job = jobs.get(connection, due.job_id)
        refusal = self._post(due, body(job))
        if refusal is None:
            webhooks.end(self._database, due.id, "delivered", delivered=True)
        elif due.tries >= self._settings.webhook_tries:
            webhooks.end(self._database, due.id, refusal, delivered=False)
            _log.warning("webhook %d of job %s is given up: %s", due.id, due.job_id, refusal)
        else:
            seconds = min(MAX_BACKOFF, self._settings.webhook_backoff * 2 ** (due.tries - 1))
            webhooks.postpone(self._database, due.id, refusal, now() + timedelta(seconds=seconds))
        return True

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                busy = self.deliver_next()
            except FarmError as error:
                _log.error("webhooks: %s", error.sentence)
                busy = False
            if not busy:
                self._stop.wait(self._settings.webhook_poll)

    def _post(self, due: DueWebhook, content: bytes) -> str | None:
        """Send it; the reason when it was not taken."""
        timestamp = str(int(now().timestamp()))
        identifier = f"{due.job_id}-{due.id}"
        headers = {
            "content-type": "application/json",
            "webhook-id": identifier,
            "webhook-timestamp": timestamp,
            "webhook-signature": signature(due.secret, identifier, timestamp, content),
        }
        try:
            url = httpx.URL(due.url)
            host = url.host
            port = url.port or (443 if url.scheme == "https" else 80)
            # Connected to is the address that was checked, not the name, which may lead elsewhere a moment later.
            address = addresses.resolve(host, port, private=self._settings.webhook_private)
            headers["host"] = url.netloc.decode("ascii")
            # No proxy of the environment, no redirect: either would lead past the check.
            with (
                httpx.Client(trust_env=False, follow_redirects=False, timeout=self._settings.webhook_timeout) as client,
                client.stream(
                    "POST",
                    url.copy_with(host=address, username=None, password=None),
                    content=content,
                    headers=headers,
                    extensions={"sni_hostname": host},
                ) as answer,
            ):
                return None if answer.is_success else f"the answer was {answer.status_code}"
        except (httpx.HTTPError, httpx.InvalidURL, AddressRefused) as error:
            return str(error)[:200] or type(error).__name__


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


def signature(secret: str, identifier: str, timestamp: str, content: bytes) -> str:
    """The value of webhook-signature."""
    signed = f"{identifier}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
