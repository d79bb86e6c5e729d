"""What clients send, as types."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import urlsplit

import httpx
from fastapi import Path as PathParameter
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from farm.access import Scope
from farm.jobspec import JobSpec
from farm.measurement import Measurement
from farm.webhooks import MOST

DIGEST = r"^[0-9a-f]{64}$"
# No database takes a NUL in a text, and nothing else below a space has a place in a name.
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
LARGEST = (1 << 63) - 1

JobId = Annotated[
    str, PathParameter(pattern=r"^[A-Za-z][A-Za-z0-9]{0,9}$", description="A job's id, or the beginning of it.")
]
Digest = Annotated[str, PathParameter(pattern=DIGEST, description="SHA-256 of a file.")]


def _web_address(url: str) -> str:
    """Whether anything may be sent there is decided when it is, of the address that the name then has."""
    if re.fullmatch(r"https?://[!-~]+", url) is None:
        raise ValueError("a webhook is an http:// or https:// address")
    try:
        host = httpx.URL(url).host
        # The parts that resolving and connecting would look at; both raise what is no address.
        host.encode("idna")
        _ = urlsplit(url).port
    except (httpx.InvalidURL, ValueError) as error:
        raise ValueError("a webhook's address has a host and a port that can be connected to") from error
    if not host:
        raise ValueError("a webhook's address names a host")
    return url


class WebhookRequest(BaseModel):
    """Where to tell of the job's end, and the key of the signature."""

    model_config = ConfigDict(extra="forbid")

    url: Annotated[str, StringConstraints(max_length=2000, pattern=r"^https?://[!-~]+$"), AfterValidator(_web_address)]
    secret: Annotated[str, StringConstraints(min_length=16, max_length=256, pattern=r"^[!-~]+$")]


class SubmitRequest(BaseModel):
    """A job to run."""

    model_config = ConfigDict(extra="forbid")

    spec: JobSpec
    webhook: WebhookRequest | None = None
    webhooks: Annotated[list[WebhookRequest], Field(max_length=MOST)] = []


class ModelFile(BaseModel):
    """One file of a model. size in bytes."""

    model_config = ConfigDict(extra="forbid")

    digest: Annotated[str, StringConstraints(pattern=DIGEST)]
    size: Annotated[int, Field(strict=True, ge=0, le=LARGEST)]


class ModelRequest(BaseModel):
    """The files that make up a model, by their names, such as `assets/tokenizer/vocabulary.json`."""

    model_config = ConfigDict(extra="forbid")

    files: Annotated[
        dict[Annotated[str, StringConstraints(max_length=200, pattern=PRINTABLE)], ModelFile],
        Field(min_length=1, max_length=1000),
    ]


class MeasurementRequest(BaseModel):
    """What a phone measured. job: whose model it was; null for the newest job that made it."""

    model_config = ConfigDict(extra="forbid")

    measurement: Measurement
    job: Annotated[str, StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9]{0,9}$")] | None = None


Quota = Annotated[int, Field(strict=True, ge=0, le=LARGEST)]


class TokenRequest(BaseModel):
    """A token to make; a quota that is null is no limit."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=PRINTABLE)]
    scopes: Annotated[list[Scope], Field(min_length=1, max_length=3)]
    max_queued: Quota | None = None
    max_running: Annotated[int, Field(strict=True, ge=1, le=LARGEST)] | None = None
    max_bytes: Quota | None = None
