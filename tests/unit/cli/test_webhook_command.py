"""Webhooks of a user: filed per farm, sent along with each job."""

from __future__ import annotations

import base64
import hashlib
import hmac
from pathlib import Path
from typing import Any

import httpx
import pytest

from client import own_webhooks, profiles
from farm import errors
from farm.webhooks import signature

URL = "https://example.org/hook"


@pytest.fixture(autouse=True)
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(profiles.FOLDER_VARIABLE, str(tmp_path / "config"))
    return tmp_path / "config"


def test_an_address_hears_of_every_job_until_it_is_removed(farm, memory_farm, config: Path) -> None:
    added = farm("webhook", "add", URL)
    secret = added.stdout.strip()
    assert len(secret) >= 40
    assert (config / "webhooks.toml").stat().st_mode & 0o777 == 0o600
    assert "told of your jobs already" in farm("webhook", "add", URL).error
    assert farm("submit", "model").code == 0
    assert [(each.url, each.secret) for each in memory_farm.webhooks] == [(URL, secret)]
    listed = farm("webhook", "list")
    assert URL in listed.stdout
    assert secret not in listed.stdout + listed.stderr
    assert farm("webhook", "list", "--json").json == [{"farm": "local", "url": URL}]
    assert farm("webhook", "remove", URL).code == 0
    farm("submit", "model", "--quant", "int8")
    assert len(memory_farm.webhooks) == 1
    assert "farm webhook list" in farm("webhook", "remove", URL).error


def test_each_farm_has_its_own(farm, memory_farm) -> None:
    profiles.add(profiles.Profile("office", "https://farm.example.org"), "farm_one", default=False)
    assert farm("webhook", "add", URL, "--profile", "office").code == 0
    assert farm("submit", "model").code == 0
    assert memory_farm.webhooks == []
    assert farm("webhook", "list", "--json").json == [{"farm": "https://farm.example.org", "url": URL}]


@pytest.mark.parametrize(
    "url", ["example.org", "ftp://example.org", "https://", "https://a@example.org", "https://\u00e4.org"]
)
def test_what_is_no_address(farm, url: str) -> None:
    ran = farm("webhook", "add", url)
    assert ran.code == errors.UsageError.exit_code
    assert "no address of a webhook" in ran.error


def test_a_secret_of_ones_own_and_what_an_action_has_not(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    for words in (["list", URL], ["add"], ["test"], ["remove", URL, "--secret-stdin"], ["list", "--secret-stdin"]):
        assert farm("webhook", *words).code == errors.UsageError.exit_code
    assert "16 to 256" in farm("webhook", "add", URL, "--secret-stdin").error, "stdin is empty"
    assert own_webhooks.load() == []


def test_the_test_is_signed_as_the_farm_signs(farm, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: dict[str, Any] = {}

    def post(url: str, **request: Any) -> httpx.Response:
        sent.update(url=url, **request)
        return httpx.Response(204)

    monkeypatch.setattr(httpx, "post", post)
    secret = farm("webhook", "add", URL).stdout.strip()
    ran = farm("webhook", "test", URL, "--json")
    assert ran.json == {"url": URL, "status": 204, "taken": True}
    head = sent["headers"]
    signed = f"{head['webhook-id']}.{head['webhook-timestamp']}.".encode() + sent["content"]
    expected = base64.b64encode(hmac.digest(secret.encode(), signed, hashlib.sha256)).decode()
    assert (
        head["webhook-signature"]
        == f"v1,{expected}"
        == signature(secret, head["webhook-id"], head["webhook-timestamp"], sent["content"])
    )

    def broken(url: str, **_request: Any) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] refused")

    monkeypatch.setattr(httpx, "post", broken)
    assert "does not answer (refused)" in farm("webhook", "test", URL).error


def test_a_damaged_file_is_one_sentence(farm, config: Path) -> None:
    config.mkdir()
    (config / "webhooks.toml").write_text("webhooks = 3")
    assert farm("webhook", "list").code == errors.SettingsInvalid.exit_code
