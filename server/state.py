"""What all requests share: the settings, the farm of this machine, its database and store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Depends, Request

from client.local import LocalFarm
from db.session import Database
from farm.settings import Settings
from farm.store import ArtifactStore
from server.files import UploadFolder
from server.log_streams import LogStreams
from server.metrics import Metrics
from server.paths import PathHider
from server.settings import ServerSettings


@dataclass(frozen=True)
class State:
    """One application's state."""

    settings: Settings
    server: ServerSettings
    farm: LocalFarm
    database: Database
    store: ArtifactStore
    uploads: UploadFolder
    metrics: Metrics
    streams: LogStreams
    paths: PathHider


def of(request: Request) -> State:
    """The state of the application that got the request."""
    return cast(State, request.app.state.farm)


FarmState = Annotated[State, Depends(of)]
