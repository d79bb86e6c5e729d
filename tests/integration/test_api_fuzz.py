"""Generated calls against the API in this process: every operation, alone and in sequences, with all checks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import schemathesis
import sqlalchemy as sa
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from db import claims, tokens
from db.models import Token
from db.session import Database
from farm import access
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from server.app import make_app
from server.settings import ServerSettings

# Examples of each operation, and how many calls they make at the least; in the short form and at full size.
EXAMPLES, CALLS = (45, 250), (2000, 10_000)
ROUNDS = 6


@dataclass
class Counted:
    """An application whose answers are counted by status, and whose own token cannot be revoked for long."""

    app: ASGIApp
    restore: Callable[[], None]
    statuses: Counter[int] = field(default_factory=Counter)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.statuses[message["status"]] += 1
            await send(message)

        await self.app(scope, receive, counted)
        if scope["type"] == "http" and scope["method"] == "DELETE":
            # Else a call that happens to hit it would leave nothing but refusals for the rest.
            self.restore()


@pytest.mark.goal(id="S4")
def test_generated_calls(tmp_path: Path, trial) -> None:
    examples = trial.size(*EXAMPLES)
    server = ServerSettings(embedded_worker=False, stream_seconds=0.01, webhook_poll=60)
    app = make_app(Settings(home=tmp_path / "home"), server)
    database: Database = app.state.farm.database
    made = tokens.create(database, "fuzz", list(access.Scope), access.Quotas())
    fill(app.state.farm)

    def restore() -> None:
        with database.write() as connection:
            connection.execute(sa.update(Token).where(Token.id == made.token.id).values(revoked_at=None))

    counted = Counted(app, restore)
    failures: dict[str, str] = {}
    errors: list[str] = []
    # Some operations run out of different calls; another seed has others.
    for seed in range(trial.seed, trial.seed + ROUNDS):
        explore(counted, made.secret, seed, examples, failures, errors)
        if counted.statuses.total() >= trial.size(*CALLS):
            break
    broken = sum(count for status, count in counted.statuses.items() if status >= 500)
    trial.measured(f"{counted.statuses.total()} calls: {broken} of 5xx, {len(failures)} failed checks")
    assert errors == []
    assert not failures, "\n\n".join(failures.values())
    assert counted.statuses.total() >= trial.size(*CALLS), counted.statuses
    assert not [status for status in counted.statuses if status >= 500], counted.statuses
    assert {200, 201, 404, 409, 422} <= set(counted.statuses)


def explore(
    counted: Counted, secret: str, seed: int, examples: int, failures: dict[str, str], errors: list[str]
) -> None:
    """One round of calls; failed checks and what kept the round from its end are added."""
    config = SchemathesisConfig.from_dict(
        {
            "seed": seed,
            "headers": {"Authorization": f"Bearer {secret}"},
            "generation": {"max-examples": examples, "database": "none"},
            # An application id that Android refuses, or a model that nobody uploaded, is of the right form and wrong.
            "checks": {
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "401", "403", "404", "409", "413", "416", "422", "429"]
                }
            },
            "phases": {"stateful": {"max-steps": 6}},
        }
    )
    schema = schemathesis.openapi.from_asgi("/openapi.json", counted, config=config)
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            for checks in event.recorder.checks.values():
                for check in checks:
                    if check.failure_info is not None:
                        case = f"{check.failure_info.code_sample}\n{check.failure_info.failure}"
                        failures[str(check.failure_info.failure)] = case
        if isinstance(event, events.NonFatalError | events.FatalError):
            errors.append(str(event))


def fill(state) -> None:
    """A queued, a running and a cancelled job, so that there is something to find."""
    for number in range(3):
        submitted = state.farm.submit(JobSpec(model_kind=ModelKind.PRESET, model=f"model_{number}"))
        if number == 0:
            assert claims.claim(state.database, "worker", 3600) is not None
        if number == 1:
            state.farm.cancel(submitted.job.id)
