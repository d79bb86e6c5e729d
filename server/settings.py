"""What the API's process needs to know beside the farm's own settings, from `FARM_SERVER_*` variables."""

from __future__ import annotations

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from farm.errors import SettingsInvalid


class ServerSettings(BaseSettings):
    """All times in seconds, all sizes in bytes.

    model_bytes: the largest model that may be uploaded. body_bytes: the largest body of any other request.
    embedded_worker: whether a background worker is started on this machine when there is work. webhook_private:
    whether webhooks may go to addresses that are not public. stream_seconds: how long one stream of log lines lasts
    before the client has to connect again. shared: whether every token sees all jobs and models; else each its own,
    and those of the scope `admin` all. upload_idle: after how long without a byte, upload_seconds: after how long
    at most, one request of an upload ends; the client goes on where it was. log_page_bytes: how much of a log one
    answer holds. webhook_timeout: a whole delivery from the name's resolution to the answer. webhook_senders: how
    many are under way at once, webhook_per_token: of one token. webhook_pending: how many may wait of one token.
    """

    model_config = SettingsConfigDict(env_prefix="FARM_SERVER_", frozen=True, extra="forbid")

    model_bytes: int = Field(default=32 << 30, ge=1)
    body_bytes: int = Field(default=1 << 20, ge=1 << 10)
    embedded_worker: bool = True
    stream_seconds: float = Field(default=600.0, gt=0)
    shared: bool = False
    upload_idle: float = Field(default=60.0, gt=0)
    upload_seconds: float = Field(default=1800.0, gt=0)
    log_page_bytes: int = Field(default=4 << 20, ge=1 << 17)
    webhook_private: bool = False
    webhook_senders: int = Field(default=64, ge=1, le=256)
    webhook_per_token: int = Field(default=48, ge=1)
    webhook_pending: int = Field(default=1000, ge=1)
    webhook_tries: int = Field(default=10, ge=1)
    webhook_timeout: float = Field(default=5.0, gt=0)
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
