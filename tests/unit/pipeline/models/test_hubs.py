"""What happens while a hub does not answer."""

from __future__ import annotations

import pytest

from farm.errors import HubUnreachable, ModelNotFound
from pipeline.models import hubs


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    made: list[float] = []
    monkeypatch.setattr("time.sleep", made.append)
    return made


def test_a_hub_that_does_not_answer_is_asked_again_after_growing_pauses(pauses: list[float]) -> None:
    tries = []
    said = []

    def download() -> None:
        tries.append(1)
        raise HubUnreachable("no network")

    with pytest.raises(HubUnreachable, match="no network"):
        hubs.patiently(download, lambda _, activity: said.append(activity))
    assert len(tries) == 3
    assert pauses == sorted(pauses) == [3.0, 15.0]
    assert said[-1] == "the hub does not answer; trying again in 15 s"


def test_what_comes_at_the_second_try_is_taken(pauses: list[float]) -> None:
    answers = [HubUnreachable("broken off"), None]

    def download() -> None:
        answer = answers.pop(0)
        if answer:
            raise answer

    hubs.patiently(download, lambda *_: None)
    assert (answers, pauses) == ([], [3.0])


def test_what_another_try_does_not_help_is_said_at_once(pauses: list[float]) -> None:
    def download() -> None:
        raise ModelNotFound("no such model")

    with pytest.raises(ModelNotFound):
        hubs.patiently(download, lambda *_: None)
    assert pauses == []
