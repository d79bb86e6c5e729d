"""The application in this process, with a token of every kind, a small model, and a farm that talks to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from client.http import HttpFarm
from client.remote import RemoteFarm
from db import tokens
from db.session import Database
from farm.access import Quotas, Scope
from farm.settings import Settings
from server.app import make_app
from server.settings import ServerSettings
from server.state import State

CONFIG = json.dumps({"registered_name": "keras_hub>GPT2Backbone"}).encode()


@dataclass(frozen=True)
class Api:
    """A running application. client: without a token."""

    client: TestClient
    state: State

    @property
    def database(self) -> Database:
        return self.state.database

    def secret(self, *scopes: Scope, quotas: Quotas | None = None) -> str:
        name = "-".join(scopes) or "nothing"
        return tokens.create(self.database, name, scopes, quotas or Quotas()).secret

    def headers(self, *scopes: Scope, quotas: Quotas | None = None) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.secret(*scopes, quotas=quotas)}"}

    def farm(self, *scopes: Scope, quotas: Quotas | None = None) -> RemoteFarm:
        client: Any = self.client  # of another release of httpx, by its types
        return RemoteFarm(HttpFarm("http://testserver", self.secret(*scopes, quotas=quotas), client))


@pytest.fixture
def server_settings() -> ServerSettings:
    return ServerSettings(
        embedded_worker=False, model_bytes=50_000_000, stream_seconds=0.2, webhook_poll=0.05, shared=True
    )


@pytest.fixture
def api(tmp_path: Path, server_settings: ServerSettings) -> Iterator[Api]:
    app = make_app(Settings(home=tmp_path / "home"), server_settings)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield Api(client, app.state.farm)


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    """The files of a preset, as far as uploading looks at them."""
    folder = tmp_path / "story"
    (folder / "assets" / "tokenizer").mkdir(parents=True)
    (folder / "config.json").write_bytes(CONFIG)
    (folder / "model.weights.h5").write_bytes(b"weights" * 200_000)
    (folder / "assets" / "tokenizer" / "merges.txt").write_bytes(b"a b\n")
    return folder
