"""The farm's settings: one frozen object, read once where a process starts, from `FARM_*` variables.

Where FARM_SECRETS names a folder, a setting may be a file in it, such as `farm_database_url`: what a container is lent
of secrets. A variable goes before a file, and an empty variable is as good as none.
"""

from __future__ import annotations

import os
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Self
from urllib.parse import urlsplit

import platformdirs
from pydantic import Field, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from farm import locations, machine
from farm.errors import SettingsInvalid
from farm.oplist import NAME

# The toolchain's artifacts decide by their roles and pinned hashes.
DATA_FILES: tuple[str, ...] = ()

SECRETS_VARIABLE = "FARM_SECRETS"


class SandboxMode(StrEnum):
    """Whether stages run in a sandbox: where one works, always (or not at all), never."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


def _toolchain(home: Path) -> Path:
    """The toolchain's folder: in the checkout, or with the farm's data where a wheel was installed."""
    return locations.ROOT / ".toolchain" if locations.CHECKOUT else home / "toolchain"


class Settings(BaseSettings):
    """All times in seconds, all sizes in bytes.

    broker_url: the broker that wakes workers elsewhere up; None in the embedded farm, whose worker looks for itself.
    arm_seconds: how long the stage `arm-check` may read text on each kind of processor; 0 leaves it out.
    permitted_ops: dangerous ops that models of this farm may hold all the same (docs/ops.md), as names with commas.
    broker_visibility_seconds: after which Redis gives out again what a worker fetched and never acknowledged.
    relay_seconds: between two looks of the relay for wake-ups to publish. forgotten_seconds: after which the wake-up
    of a job that still waits is published again. migrate: whether this process may bring an older database to its
    version; else it refuses to work with one. alive: a file that a worker and the relay touch as long as all is well.
    """

    model_config = SettingsConfigDict(env_prefix="FARM_", env_ignore_empty=True, frozen=True, extra="forbid")

    home: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("keras-android-farm", appauthor=False)))
    database_url: str | None = None
    migrate: bool = True
    store_url: str | None = None
    store_cache: int = 50 << 30
    broker_url: str | None = None
    broker_visibility_seconds: int = 300
    relay_seconds: float = 0.02
    forgotten_seconds: float = 20.0
    lease_seconds: float = 60.0
    heartbeat_seconds: float = 10.0
    grace_seconds: float = 10.0
    poll_seconds: float = 0.2
    idle_seconds: float = 20.0
    max_attempts: int = 3
    memory_limit: int = Field(default_factory=lambda: int(machine.memory() * 0.8))
    disk_reserve: int = 256 << 20
    threads: int = Field(default_factory=machine.processors)
    sandbox: SandboxMode = SandboxMode.REQUIRED
    arm_seconds: float = Field(20.0, ge=0, le=600)
    permitted_ops: Annotated[frozenset[str], NoDecode] = frozenset()
    toolchain: Path = Field(default_factory=lambda given: _toolchain(given["home"]))
    alive: Path | None = None

    @field_validator("permitted_ops", mode="before")
    @classmethod
    def _names(cls, value: object) -> object:
        return value.replace(",", " ").split() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _safe(self) -> Self:
        if not self.home.is_absolute():
            raise ValueError("home must be an absolute path")
        if self.lease_seconds < 3 * self.heartbeat_seconds:
            raise ValueError("lease_seconds must be at least three times heartbeat_seconds")
        if wrong := sorted(name for name in self.permitted_ops if not NAME.fullmatch(name)):
            raise ValueError(f"{wrong[0]!r} is no name of an op")
        if self.store_url is not None:
            _require_store_url(self.store_url)
        return self

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of the database; by default a SQLite file in `home`."""
        return self.database_url or f"sqlite:///{self.home / 'farm.db'}"

    @property
    def announcing(self) -> bool:
        """Whether queued jobs are announced to a broker."""
        return self.broker_url is not None

    @property
    def store(self) -> Path:
        """The store's folder; with a bucket in `store_url`, what of it was used lately, up to `store_cache` bytes."""
        if self.store_url is not None and self.store_url.startswith("file://"):
            return Path(urlsplit(self.store_url).path)
        return self.home / "store"

    @property
    def work(self) -> Path:
        """Folders of running stages, on the same file system as the store."""
        return self.home / "work"

    @property
    def caches(self) -> Path:
        """What may be deleted at any time: weightless graphs."""
        return self.home / "caches"

    @property
    def logs(self) -> Path:
        """One folder a job, one file a stage."""
        return self.home / "logs"

    @property
    def keys(self) -> Path:
        """Signing keys, readable by their owner only."""
        return self.home / "keys"


def _require_store_url(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        return
    # Credentials in an address would get into logs and lists of processes.
    if parts.scheme == "s3" and parts.netloc and "@" not in parts.netloc and not parts.query:
        return
    raise ValueError("store_url must be file:///FOLDER or s3://BUCKET/PREFIX, without credentials")


def load() -> Settings:
    """Read the settings of this process; a wrong value is refused with its variable's name."""
    folder = os.environ.get(SECRETS_VARIABLE)
    try:
        return Settings(_secrets_dir=folder if folder and Path(folder).is_dir() else None)
    except ValidationError as error:
        first = error.errors()[0]
        name = "FARM_" + "_".join(str(part) for part in first["loc"]).upper() if first["loc"] else "FARM_*"
        raise SettingsInvalid(f"The setting {name} is refused: {first['msg']}.") from error
