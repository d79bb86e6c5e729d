"""Who is to hear of a job's end, and the signature by which a receiver knows the farm (standardwebhooks.com)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass

SECRET = re.compile(r"[!-~]{16,256}")
MOST = 8


@dataclass(frozen=True)
class Webhook:
    """An address and the key of the signature."""

    url: str
    secret: str


def signature(secret: str, identifier: str, timestamp: str, content: bytes) -> str:
    """The value of webhook-signature: over `id.timestamp.body`."""
    signed = f"{identifier}.{timestamp}.".encode() + content
    return "v1," + base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
