"""What the API's process needs to know beside the farm's own settings, from `FARM_SERVER_*` variables."""

from __future__ import annotations

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from farm.errors import SettingsInvalid


class ServerSettings(BaseSettings):
    """All times in seconds, all sizes in bytes.

    model_bytes: the largest model that may be uploaded. body_bytes: the largest body of any other request.
    embedded_worker: whether a background worker is started on this machine when there is work. webhook_private: whether
    webhooks may go to addresses that are not public. stream_seconds: how long one stream of log lines lasts before the
    client has to connect again.
    """

    model_config = SettingsConfigDict(env_prefix="FARM_SERVER_", frozen=True, extra="forbid")

    model_bytes: int = Field(default=32 << 30, ge=1)
    body_bytes: int = Field(default=1 << 20, ge=1 << 10)
    embedded_worker: bool = True
    stream_seconds: float = Field(default=600.0, gt=0)
    webhook_private: bool = False
    webhook_tries: int = Field(default=10, ge=1)
    webhook_timeout: float = Field(default=10.0, gt=0)
    webhook_backoff: float = Field(default=5.0, gt=0)
    webhook_poll: float = Field(default=1.0, gt=0)


def load() -> ServerSettings:
    """Read the settings of this process; a wrong value is refused with its variable's name."""
    try:
        return ServerSettings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "FARM_SERVER_" + "_".join(str(part) for part in first["loc"]).upper()
        raise SettingsInvalid(f"The setting {name} is refused: {first['msg']}.") from error
