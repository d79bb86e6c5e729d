"""Requests to a remote farm: what goes wrong on the way or comes back as a problem is one of the farm's errors."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from farm import errors
from farm.errors import AnswerUnusable, FarmUnreachable

# To connect, and between two bytes of an answer.
TIMEOUT = httpx.Timeout(60.0, connect=10.0)
T = TypeVar("T")


class HttpFarm:
    """One farm's address and token. `client` is for tests and for callers with settings of their own."""

    def __init__(self, url: str, token: str, client: httpx.Client | None = None) -> None:
        self.url = url.rstrip("/")
        self._client = client or httpx.Client(timeout=TIMEOUT, follow_redirects=False)
        self._headers = {"Authorization": f"Bearer {token}"}

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def ask(self, kind: type[T] | Any, method: str, path: str, **options: Any) -> T:
        """The answer as a `kind`; the farm's errors, FarmUnreachable, AnswerUnusable."""
        with self.stream(method, path, **options) as answer:
            try:
                parsed: T = TypeAdapter(kind).validate_json(answer.read())
            except (ValidationError, httpx.TransportError) as error:
                if isinstance(error, httpx.TransportError):
                    raise self.unreachable(error) from error
                raise self._unusable() from error
            return parsed

    @contextmanager
    def stream(self, method: str, path: str, **options: Any) -> Iterator[httpx.Response]:
        """An answer that is read bit by bit; httpx.TransportError then passes through, for who takes it up again.

        The farm's errors, FarmUnreachable, AnswerUnusable when there is no good answer to begin with.
        """
        headers = self._headers | options.pop("headers", {})
        request = self._client.build_request(method, self.url + path, headers=headers, **options)
        try:
            answer = self._client.send(request, stream=True)
        except httpx.TransportError as error:
            raise self.unreachable(error) from error
        try:
            if answer.is_error or answer.is_redirect:
                raise self._refusal(answer)
            yield answer
        finally:
            answer.close()

    def unreachable(self, error: Exception) -> FarmUnreachable:
        """No answer, as a sentence."""
        return FarmUnreachable(
            f"The farm at {self.url} does not answer ({reason_of(error)}); check the address and the network."
        )

    def _unusable(self) -> AnswerUnusable:
        return AnswerUnusable(
            f"What {self.url} answers is not of this version of the farm; install the server's version."
        )

    def _refusal(self, answer: httpx.Response) -> errors.FarmError:
        """The error that a problem document stands for."""
        try:
            problem = json.loads(answer.read())
            return errors.from_code(str(problem["code"]), str(problem["detail"]))
        except httpx.TransportError as error:
            return self.unreachable(error)
        except (ValueError, KeyError, TypeError):
            if answer.status_code in (502, 503, 504):
                return self.unreachable(httpx.TransportError(f"status {answer.status_code}"))
            return self._unusable()


def reason_of(error: Exception) -> str:
    """Why nobody answers, without the number that the system gives the reason."""
    return re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or "no reason is known"
