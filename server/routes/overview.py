"""The queue, the workers, the recipes, the metrics."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_1_0_0

from farm.recipes import RECIPES, Recipe
from server import visibility
from server.auth import Reader
from server.overview import QueueView, WorkerView, queue_view, worker_views
from server.problems import documented
from server.state import FarmState

router = APIRouter(tags=["overview"])


@router.get("/v1/queue", responses=documented())
def get_queue(state: FarmState, token: Reader) -> QueueView:
    """How long the queue is."""
    with state.database.read() as connection:
        return queue_view(connection, visibility.owner(state, token))


@router.get("/v1/workers", responses=documented())
def list_workers(state: FarmState, token: Reader) -> list[WorkerView]:
    """Who works, at what."""
    with state.database.read() as connection:
        return worker_views(connection, visibility.owner(state, token))


@router.get("/v1/recipes", responses=documented())
def list_recipes(_token: Reader) -> list[Recipe]:
    """The recipes with their limits."""
    return list(RECIPES)


@router.get("/metrics", response_class=PlainTextResponse, responses=documented())
def get_metrics(state: FarmState, token: Reader) -> PlainTextResponse:
    """For Prometheus, which sends the token as `authorization: credentials`; of the whole farm, see visibility."""
    visibility.require_all(state, token)
    return PlainTextResponse(state.metrics.text(), media_type=CONTENT_TYPE_PLAIN_1_0_0)
