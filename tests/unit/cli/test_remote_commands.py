"""`farm login`, `farm token`, and the other commands on a farm elsewhere: same output, same exit codes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from cli.main import app
from client import profiles
from client.local import LocalFarm
from db import tokens
from db.models import ArtifactRow, Job
from db.session import open_database
from farm import errors
from farm.access import Quotas, Scope
from farm.artifacts import ArtifactName
from farm.settings import Settings
from farm.states import JobState
from server.app import make_app
from server.settings import ServerSettings
from tests.fixtures.shared_measurement import SHARED

URL = "http://localhost:8765"


class Commands:
    """Runs commands: on the farm elsewhere, on the one behind it, or without any."""

    def __init__(self, settings: Settings, secret: str) -> None:
        self.settings = settings
        self.secret = secret

    def remote(self, *words: str, given: str = ""):
        return CliRunner().invoke(app, list(words), input=given)

    def embedded(self, *words: str):
        return CliRunner().invoke(app, list(words), obj=lambda: LocalFarm(self.settings))


# Who answers is said where more than one farm is known.
ANSWERS = "Farm: office (http://localhost:8765)\n"


@pytest.fixture
def commands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Commands]:
    monkeypatch.setenv("FARM_HOME", str(tmp_path / "mine"))
    monkeypatch.setenv(profiles.FOLDER_VARIABLE, str(tmp_path / "config"))
    monkeypatch.chdir(tmp_path)
    settings = Settings(home=tmp_path / "theirs")
    application = make_app(settings, ServerSettings(embedded_worker=False, stream_seconds=0.1))
    secret = tokens.create(application.state.farm.database, "me", list(Scope), Quotas()).secret
    with TestClient(application, base_url=URL) as client:
        monkeypatch.setattr("httpx.Client", lambda **_options: client)
        yield Commands(settings, secret)


@pytest.fixture
def logged_in(commands: Commands) -> Commands:
    assert commands.remote("login", URL, "--name", "office", "--token-stdin", given=commands.secret).exit_code == 0
    return commands


def test_login_tries_the_token_and_keeps_it(commands: Commands) -> None:
    refused = commands.remote("login", URL, "--token-stdin", given="farm_wrong\n")
    assert refused.exit_code == errors.NotAuthenticated.exit_code
    assert not profiles.user_folder().exists()
    done = commands.remote("login", URL, "--token-stdin", given=commands.secret + "\n")
    assert done.exit_code == 0, done.output
    assert commands.secret not in done.output
    assert "localhost-8765" in done.stdout
    assert profiles.load().choose(None) == profiles.Profile("localhost-8765", URL)


def test_login_without_a_terminal_or_token(commands: Commands) -> None:
    assert commands.remote("login", URL).exit_code == errors.UsageError.exit_code
    assert commands.remote("login", URL, "--token-stdin", given="\n").exit_code == errors.NotAuthenticated.exit_code
    insecure = commands.remote("login", "http://farm.example.org", "--token-stdin", given="x")
    assert insecure.exit_code == errors.SettingsInvalid.exit_code


def test_the_same_commands_with_the_same_output(logged_in: Commands, tmp_path: Path) -> None:
    model = tmp_path / "story"
    model.mkdir()
    (model / "config.json").write_text('{"registered_name": "x"}')
    (model / "model.weights.h5").write_bytes(b"weights")
    submitted = logged_in.remote("submit", str(model), "--quant", "int8", "--json")
    assert submitted.exit_code == 0, submitted.output
    job = json.loads(submitted.stdout)
    assert (job["model"], job["model_kind"], job["state"]) == ("story", "uploaded", "queued")
    calls = [
        ["status"], ["status", job["id"]], ["status", job["id"], "--json"], ["list"], ["list", "--json"],
        ["list", "--recipe", "none"], ["logs", job["id"]], ["status", "nosuchjob"], ["retry", job["id"]],
        ["download", job["id"]], ["run", job["id"], "The list"], ["cancel", "nosuchjob", "--json"],
    ]  # fmt: skip
    for words in calls:
        remote, embedded = logged_in.remote(*words), logged_in.embedded(*words)
        assert (remote.exit_code, _without_ages(remote.stdout), remote.stderr.replace(ANSWERS, "")) == (
            embedded.exit_code, _without_ages(embedded.stdout), embedded.stderr,
        ), words  # fmt: skip
    cloned = json.loads(logged_in.remote("submit", "--clone", job["id"], "--quant", "none", "--json").stdout)
    assert (cloned["model_digest"], cloned["recipe"]) == (job["model_digest"], "none")
    assert logged_in.remote("cancel", job["id"]).exit_code == 0
    assert logged_in.remote("watch", job["id"]).exit_code == errors.JobCancelled.exit_code
    assert logged_in.remote("retry", job["id"]).exit_code == 0


def test_what_phones_measured_is_downloaded_from_either(logged_in: Commands) -> None:
    job = json.loads(logged_in.remote("submit", "gpt2_base_en", "--json").stdout)
    row = {"job_id": job["id"], "name": ArtifactName.MODEL.value, "digest": SHARED["model_sha256"], "size": 1}
    with open_database(logged_in.settings.database).write() as connection:
        connection.execute(sa.insert(ArtifactRow), [row])
        connection.execute(sa.update(Job).values(state=JobState.SUCCEEDED.value))
    Path("shared.json").write_text(json.dumps(SHARED))
    assert logged_in.remote("import-metrics", "shared.json").exit_code == 0
    for run, folder in ((logged_in.remote, "remote"), (logged_in.embedded, "embedded")):
        ran = run("download", job["id"], "--only", "measurements.json", "--output", folder)
        assert ran.exit_code == 0, ran.output
    content = Path("remote/measurements.json").read_bytes()
    assert content == Path("embedded/measurements.json").read_bytes()
    assert json.loads(content)["measurements"] == [SHARED]


def test_a_profile_is_chosen_by_option_and_variable(logged_in: Commands, monkeypatch: pytest.MonkeyPatch) -> None:
    assert logged_in.remote("submit", "gpt2_base_en").exit_code == 0
    assert "gpt2_base_en" in logged_in.remote("list").stdout
    assert "No jobs yet" in logged_in.remote("--profile", "local", "status").stdout
    monkeypatch.setenv("FARM_PROFILE", "local")
    assert "No jobs yet" in logged_in.remote("status").stdout
    assert "gpt2_base_en" in logged_in.remote("--profile", "office", "list").stdout
    assert logged_in.remote("--profile", "offce", "list").exit_code == errors.ProfileUnknown.exit_code


@pytest.mark.parametrize("profile", ["office", "local"])
def test_tokens_are_made_listed_and_revoked(logged_in: Commands, profile: str) -> None:
    def token(*words: str):
        return logged_in.remote("--profile", profile, "token", *words)

    made = token("create", "phone", "--scope", "read", "--max-queued", "3", "--json")
    assert made.exit_code == 0, made.output
    view = json.loads(made.stdout)
    assert (view["scopes"], view["max_queued"], view["max_running"]) == (["read"], 3, None)
    plain = token("create", "pipe")
    assert plain.stdout.startswith("farm_")
    assert len(plain.stdout.split()) == 1
    listed = json.loads(token("list", "--json").stdout)
    assert {"phone", "pipe"} <= {each["name"] for each in listed}
    assert "secret" not in listed[0]
    assert token("revoke", view["id"]).exit_code == 0
    assert token("revoke", "aaaaaaaaaa").exit_code == errors.TokenNotFound.exit_code
    assert "phone" in token("list").stdout
    for words in (["create"], ["revoke"], ["list", "x"], ["create", "a\nb"]):
        assert token(*words).exit_code == errors.UsageError.exit_code


def test_only_an_admin_makes_tokens(logged_in: Commands) -> None:
    reader = json.loads(logged_in.remote("token", "create", "r", "--scope", "read", "--json").stdout)["secret"]
    assert logged_in.remote("login", URL, "--name", "reader", "--token-stdin", given=reader).exit_code == 0
    refused = logged_in.remote("--profile", "reader", "token", "list")
    assert refused.exit_code == errors.NotPermitted.exit_code
    assert "admin" in refused.stderr


def _without_ages(said: str) -> str:
    """A second may pass between two commands, and with it the widths of a table's columns change."""
    return re.sub(r"[ ─]+", " ", re.sub(r"\bnow\b|\b\d+ s ago", "a while ago", said))
