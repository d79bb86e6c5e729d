"""Around every request: its body's size is limited, its answer gets the security headers, and it is counted."""

from __future__ import annotations

import asyncio
import json
import time
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from farm.errors import UploadTooLarge, UsageError
from server.metrics import Metrics
from server.problems import problem

UPLOADS = "/v1/uploads/"
# The whole body of any other request.
BODY_SECONDS = 30.0


class Guard:
    """ASGI middleware. Uploads are streamed and limited by their route; every other body is read here."""

    def __init__(self, app: ASGIApp, body_bytes: int, metrics: Metrics) -> None:
        self._app = app
        self._body_bytes = body_bytes
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Cache-Control", "no-store")
                headers["X-Content-Type-Options"] = "nosniff"
                # The route's pattern and not the path, which would make a time series of every job.
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.requests.labels(scope["method"], route, str(message["status"])).inc()
                self._metrics.seconds.labels(scope["method"], route).observe(time.perf_counter() - started)
            await send(message)

        if scope["path"].startswith(UPLOADS):
            await self._app(scope, receive, counted)
            return
        try:
            messages = await self._read(scope, receive)
        except TimeoutError:
            late = UsageError(f"The request's body did not come within {BODY_SECONDS:g} s; send the request again.")
            await problem(late, HTTPStatus.REQUEST_TIMEOUT.value, {"Connection": "close"})(scope, receive, counted)
            return
        if messages is None:
            error = UploadTooLarge(f"The request's body is larger than {self._body_bytes} bytes; make it smaller.")
            await problem(error, headers={"Connection": "close"})(scope, receive, counted)
            return

        if not _storable(b"".join(message.get("body", b"") for message in messages)):
            error_of_text = UsageError("The request has a text with a NUL or half a character; send whole characters.")
            await problem(error_of_text)(scope, receive, counted)
            return

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        await self._app(scope, replay, counted)

    async def _read(self, scope: Scope, receive: Receive) -> list[Message] | None:
        """The body's messages; None when they are too large; TimeoutError when they do not come."""
        length = Headers(scope=scope).get("content-length", "0")
        if length.isdecimal() and int(length) > self._body_bytes:
            return None
        messages: list[Message] = []
        size = 0
        clock = asyncio.get_running_loop().time
        until = clock() + BODY_SECONDS
        while True:
            message = await asyncio.wait_for(receive(), max(until - clock(), 0.0))
            messages.append(message)
            size += len(message.get("body", b""))
            if size > self._body_bytes:
                return None
            if not message.get("more_body", False):
                return messages


def _storable(body: bytes) -> bool:
    """Whether no text of a JSON body holds a NUL, which databases refuse, or half of a surrogate pair.

    Both get through JSON by an escape only, so that other bodies are not looked through. What is no JSON is for the
    route to refuse.
    """
    if b"\\u" not in body:
        return True
    try:
        return _whole(json.loads(body))
    except (ValueError, RecursionError):
        return True


def _whole(value: object) -> bool:
    if isinstance(value, str):
        return "\x00" not in value and not any("\ud800" <= letter <= "\udfff" for letter in value)
    if isinstance(value, dict):
        return all(_whole(key) and _whole(each) for key, each in value.items())
    return all(map(_whole, value)) if isinstance(value, list) else True
