"""The FastAPI application: routes, errors, limits, and the delivery of webhooks beside them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute

from client.local import LocalFarm
from db.session import open_database
from farm.settings import Settings
from farm.store.choice import open_store
from server import log_streams, problems
from server.files import UploadFolder
from server.limits import Guard
from server.log_streams import LogStreams
from server.metrics import Metrics
from server.paths import PathHider
from server.problems import Problem
from server.routes import artifacts, health, jobs, logs, measurements, overview, tokens, uploads
from server.settings import ServerSettings
from server.state import State
from server.webhooks import WebhookSender


def make_app(settings: Settings, server: ServerSettings) -> FastAPI:
    """The application for one process; DatabaseUnusable, SettingsInvalid."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    database = open_database(settings.database, announcing=settings.announcing, migrate=settings.migrate)
    store = open_store(settings)
    state = State(
        settings, server, LocalFarm(settings, database), database, store, UploadFolder(settings, database, store),
        Metrics(database), LogStreams(partial(log_streams.read, settings, database)),
        PathHider(settings),
    )  # fmt: skip
    sender = WebhookSender(database, server)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        sender.start()
        yield
        sender.stop()
        database.close()

    app = FastAPI(
        title="Keras-to-Android build farm",
        version=version("keras-android-farm"),
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        generate_unique_id_function=_operation,
    )
    app.state.farm = state
    app.add_middleware(Guard, body_bytes=server.body_bytes, metrics=state.metrics)
    problems.install(app)
    for routes in (jobs, logs, artifacts, measurements, uploads, tokens, overview, health):
        app.include_router(routes.router)
    _describe(app)
    return app


def _operation(route: APIRoute) -> str:
    return route.name


def _describe(app: FastAPI) -> None:
    """Add to the OpenAPI document what all routes have in common: the form of errors, and those of the token."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = plain()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            schemas["Problem"] = Problem.model_json_schema()
            for operation in (each for path in document["paths"].values() for each in path.values()):
                if operation.get("security"):
                    operation["responses"] |= problems.documented_access()
                if "requestBody" in operation:
                    operation["responses"] |= problems.documented_body()
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign] # the way that FastAPI's manual gives
