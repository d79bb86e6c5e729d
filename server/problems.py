"""Errors as `application/problem+json` (RFC 9457), with the codes that the command line shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from farm import errors
from farm.errors import FarmError, UsageError

MEDIA_TYPE = "application/problem+json"

# The status of every error that a request can meet; a family stands for its members.
STATUS: dict[type[FarmError], HTTPStatus] = {
    FarmError: HTTPStatus.INTERNAL_SERVER_ERROR,
    UsageError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ModelError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SpecError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.SigningError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.CheckError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.AarError: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.DiskFull: HTTPStatus.INSUFFICIENT_STORAGE,
    errors.DatabaseUnusable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnusable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.ArtifactDamaged: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ArtifactMissing: HTTPStatus.NOT_FOUND,
    errors.JobNotFound: HTTPStatus.NOT_FOUND,
    errors.NoJobYet: HTTPStatus.NOT_FOUND,
    errors.AmbiguousJob: HTTPStatus.CONFLICT,
    errors.JobNotFinished: HTTPStatus.CONFLICT,
    errors.TransitionRefused: HTTPStatus.CONFLICT,
    errors.MeasurementUnreadable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.MeasurementForeign: HTTPStatus.CONFLICT,
    errors.NotAuthenticated: HTTPStatus.UNAUTHORIZED,
    errors.NotPermitted: HTTPStatus.FORBIDDEN,
    errors.QuotaExceeded: HTTPStatus.TOO_MANY_REQUESTS,
    errors.UploadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.UploadConflict: HTTPStatus.CONFLICT,
    errors.TokenNotFound: HTTPStatus.NOT_FOUND,
}


class Problem(BaseModel):
    """Why a request was refused. code and exit_code: as in docs/errors.md; detail: one sentence for people."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    exit_code: int


def status_of(cls: type[FarmError]) -> HTTPStatus:
    """The HTTP status of an error."""
    return next(STATUS[base] for base in cls.__mro__ if base in STATUS)


def problem(error: FarmError, status: int | None = None, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer that tells of an error."""
    code = status or status_of(type(error)).value
    content = Problem(
        type=f"urn:keras-android-farm:error:{error.code()}",
        title=(type(error).__doc__ or "").strip(),
        status=code,
        detail=error.sentence,
        code=error.code(),
        exit_code=error.exit_code,
    )
    if code == HTTPStatus.UNAUTHORIZED:
        headers = {**(headers or {}), "WWW-Authenticate": "Bearer"}
    return JSONResponse(content.model_dump(), code, headers, MEDIA_TYPE)


def documented(*classes: type[FarmError]) -> dict[int | str, dict[str, Any]]:
    """What the OpenAPI document says of these errors, for a route's `responses`."""
    by_status: dict[int, list[str]] = {}
    known: list[type[FarmError]] = [*classes, UsageError]
    for cls in known:
        by_status.setdefault(status_of(cls).value, []).append(cls.code())
    schema = {"schema": {"$ref": "#/components/schemas/Problem"}}
    return {
        status: {"description": ", ".join(codes), "content": {MEDIA_TYPE: schema}}
        for status, codes in sorted(by_status.items())
    }


def documented_access() -> dict[str, dict[str, Any]]:
    """What a route that asks for a token may answer, as in the OpenAPI document."""
    found = documented(errors.NotAuthenticated, errors.NotPermitted)
    return {str(status): found[status] for status in (HTTPStatus.UNAUTHORIZED.value, HTTPStatus.FORBIDDEN.value)}


def documented_body() -> dict[str, dict[str, Any]]:
    """What a route that takes a body may answer, as in the OpenAPI document."""
    status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE.value
    return {str(status): documented(errors.UploadTooLarge)[status]}


def install(app: FastAPI) -> None:
    """Every error of the application becomes a problem."""
    app.add_exception_handler(FarmError, _farm_error)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(Exception, _unexpected)


async def _farm_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, FarmError)  # noqa: S101 # Starlette calls it for these only
    return problem(type(error)(request.app.state.farm.paths.text(error.sentence)))


async def _invalid(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    return problem(UsageError(_sentence(error.errors())))


async def _http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    words = HTTPStatus(error.status_code).phrase.lower()
    refused = UsageError(f"The request was refused ({words}); /openapi.json lists what can be asked.")
    if error.status_code == HTTPStatus.BAD_REQUEST:
        return problem(UsageError("The request's body cannot be read; send JSON in UTF-8."))
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return problem(refused, error.status_code, headers)


async def _unexpected(_request: Request, _error: Exception) -> JSONResponse:
    """No details for strangers; Starlette logs the trace after this."""
    return problem(FarmError("The farm itself is at fault; its operator finds the trace in the server's log."))


def _methods(request: Request) -> set[str]:
    """All methods of the path; the framework names those of the first route that has it."""
    paths = request.app.openapi()["paths"]
    asked = request.url.path
    patterns = {path: re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path)) for path in paths}
    return {
        method.upper() for path, pattern in patterns.items() if re.fullmatch(pattern, asked) for method in paths[path]
    }


def _sentence(found: Sequence[Any]) -> str:
    first = found[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"The request's {place} is refused: {str(first['msg'])[:200].rstrip('.')}."
