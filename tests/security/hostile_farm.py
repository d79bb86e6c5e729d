"""A farm in a sandbox, one stage of whose jobs is hostile; its worker may be an ordinary user's."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from farm.appspec import AppSpec
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from tests.faults.yard import ForkedWorker, Yard
from worker import sandbox, stage_view
from worker.stage_process import ProcessRunner

PROGRAM = Path(__file__).with_name("hostile_stage.py")
# Debian's own, which every user may read and start.
PYTHON = "/usr/bin/python3"
ORDINARY = 54321
PR_SET_DUMPABLE = 4


class HostileFarm(Yard):
    """Its stages are run exactly as the product runs them, by another program."""

    def __init__(self, home: Path, **changes: Any) -> None:
        super().__init__(home, **{"sandbox": "required", "toolchain": PROGRAM.parents[1], "max_attempts": 1} | changes)

    def attack(
        self,
        do: str,
        given: dict[str, Any] | None = None,
        stage: str = "check",
        seed: object = 0,
        also: Mapping[str, str] | None = None,
    ) -> str:
        """Submit a job in which that stage does this; its id. also: what other stages of it do."""
        plan = {"hostile": stage, "do": do, "given": given or {}, "seed": seed, "also": {**(also or {})}}
        spec = JobSpec(model_kind=ModelKind.PRESET, model=json.dumps(plan), app=AppSpec(label=f"Attack {seed}"))
        return self.farm.submit(spec).job.id

    def runner(self) -> ProcessRunner:
        """What runs its stages."""
        python = sys.executable if os.geteuid() == 0 else PYTHON
        return ProcessRunner(
            sandbox.choose(self.settings.sandbox), self.settings.grace_seconds, (python, "-I", "-S", str(PROGRAM))
        )

    def work(self, *, ordinary: bool = False, idle_seconds: float | None = 0.0) -> ForkedWorker:
        """Start a worker, as root where the test is, or as an ordinary user."""
        if ordinary and os.geteuid() == 0:
            self._give_all()
        return self.fork(lambda: self._work(ordinary, idle_seconds))

    def work_here(self) -> None:
        """Run what is queued, in this process."""
        self.serve(runner=self.runner())

    def _work(self, ordinary: bool, idle_seconds: float | None) -> None:
        if ordinary:
            become_ordinary()
        self.reopen()
        self.serve(runner=self.runner(), idle_seconds=idle_seconds)

    def _give_all(self) -> None:
        for path in (self.settings.home, *self.settings.home.rglob("*")):
            os.chown(path, ORDINARY, ORDINARY, follow_symlinks=False)


def become_ordinary() -> None:
    """This process's user for good; the interpreter in the view is then Debian's, since root's own is not readable."""
    if os.geteuid() != 0:
        return
    os.setgroups([])
    os.setgid(ORDINARY)
    os.setuid(ORDINARY)
    # As a program that this user starts has it; else nobody may look into what this process has open.
    ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)
    sys.base_prefix = sys.prefix = "/usr"
    stage_view.parts.cache_clear()
