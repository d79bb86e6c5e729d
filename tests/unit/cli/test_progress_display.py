from __future__ import annotations

import io

import pytest
from rich.console import Console

from cli import progress, units
from cli.terminal import Terminal, open_terminal
from farm.stages import STAGES
from farm.states import JobState


def a_terminal(is_terminal: bool) -> Terminal:
    out, err = (
        Console(file=io.StringIO(), width=80, force_terminal=is_terminal, markup=False, highlight=False)
        for _ in range(2)
    )
    return Terminal(out, err, as_json=False)


def _share(stages: int) -> str:
    """The part of a job's work that its first stages are."""
    return units.percent(sum(stage.weight for stage in STAGES[:stages]) / sum(stage.weight for stage in STAGES))


def written(terminal: Terminal) -> str:
    stream = terminal.err.file
    assert isinstance(stream, io.StringIO)
    return stream.getvalue()


def test_the_live_display_shows_stages_share_and_time_left(memory_farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.1)
    terminal = a_terminal(is_terminal=True)
    job = memory_farm.add(JobState.QUEUED)
    assert terminal.interactive
    assert progress.wait(memory_farm, job.id, terminal).state is JobState.SUCCEEDED
    shown = written(terminal)
    for expected in (job.id, "tiny_gpt2, int8", "converting", "writing the weights", _share(3), "s left", "✓"):
        assert expected in shown, expected
    assert isinstance(terminal.out.file, io.StringIO)
    assert terminal.out.file.getvalue() == ""


def test_the_place_in_the_queue_is_shown(memory_farm) -> None:
    for count in range(3):
        view = memory_farm.add(JobState.QUEUED)
        expected = ("next", "1 job ahead", "2 jobs ahead")[count]
        assert progress.line(view) == f"Job {view.id} queued: {expected}"


def test_without_a_terminal_a_line_comes_only_when_something_changed(memory_farm, monkeypatch) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.0)
    terminal = a_terminal(is_terminal=False)
    job = memory_farm.add(JobState.QUEUED)
    display = progress.LineDisplay(terminal)
    for _ in range(5):
        display.update(job)
    assert written(terminal) == f"Job {job.id} queued: next\n"
    progress.wait(memory_farm, job.id, terminal)
    lines = written(terminal).splitlines()[1:]
    assert len(lines) == len(STAGES) + 1
    assert lines[2] == f"Job {job.id} running: converting, {_share(2)}, about 9 s left"
    assert lines[-1] == f"Job {job.id} succeeded"


@pytest.mark.parametrize("variable", ["CI"])
def test_ci_and_json_are_not_interactive(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.delenv(variable, raising=False)
    terminal = a_terminal(is_terminal=True)
    assert terminal.interactive
    assert not Terminal(terminal.out, terminal.err, as_json=True).interactive
    monkeypatch.setenv(variable, "true")
    assert not terminal.interactive


def test_whoever_waits_sees_to_it_that_there_is_a_worker(memory_farm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(progress, "WORKER_CHECK_SECONDS", 0.0)
    job = memory_farm.add(JobState.QUEUED)
    progress.wait(memory_farm, job.id, open_terminal(as_json=True))
    assert memory_farm.workers_asked > 3
