"""Whether the process lives, and whether it can serve; for load balancers, without a token."""

from __future__ import annotations

import os
from dataclasses import dataclass

import psutil
from fastapi import APIRouter

from db import statistics
from farm.errors import DatabaseUnusable, DiskFull
from server.problems import documented
from server.state import FarmState

router = APIRouter(prefix="/health", tags=["health"])


@dataclass(frozen=True)
class Health:
    """It is well."""

    status: str = "ok"


@router.get("/live", responses=documented())
def get_live() -> Health:
    """The process answers."""
    return Health()


@router.get("/ready", responses=documented(DatabaseUnusable, DiskFull))
def get_ready(state: FarmState) -> Health:
    """The database answers and the store can be written."""
    with state.database.read() as connection:
        statistics.oldest_queued(connection)
    home = state.settings.home
    if not os.access(home, os.W_OK) or psutil.disk_usage(str(home)).free < state.settings.disk_reserve:
        raise DiskFull("Nothing more can be written to the farm's folder; free some room or fix its permissions.")
    return Health()
