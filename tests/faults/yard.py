"""A farm whose stages are stubs, with workers that can be killed."""

from __future__ import annotations

import json
import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from client.local import LocalFarm
from client.protocol import JobView
from db.session import Database, open_database
from farm.appspec import AppSpec
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.settings import Settings
from farm.store import LocalStore
from worker import service
from worker.sandbox import Sandbox, Unconfined
from worker.stage_process import ProcessRunner, StageRunner

HERE = Path(__file__).parent


def stub_runner(settings: Settings, sandbox: Sandbox | None = None) -> ProcessRunner:
    """Runs the stub in place of every stage."""
    command = (sys.executable, "-I", "-S", str(HERE / "stub_stage.py"))
    return ProcessRunner(sandbox or Unconfined("a test"), settings.grace_seconds, command)


class ForkedWorker:
    """A worker in a child of this process: started in milliseconds, so that hundreds can be killed."""

    def __init__(self, log: Path, work: Callable[[], object]) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            self._work(log, work)

    def _work(self, log: Path, work: Callable[[], object]) -> NoReturn:
        code = 1
        try:
            descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(descriptor, 1)
            os.dup2(descriptor, 2)
            logging.basicConfig(level=logging.INFO, stream=os.fdopen(2, "w", closefd=False), force=True)
            work()
            code = 0
        except BaseException:  # noqa: BLE001 # a child must not go on with its parent's tests
            traceback.print_exc(file=os.fdopen(2, "w", closefd=False))
        finally:
            os._exit(code)

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, seconds: float = 30.0) -> int:
        deadline = time.monotonic() + seconds
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"the worker did not end within {seconds} s"
            time.sleep(0.005)
        return code

    def send_signal(self, number: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class Yard:
    """One embedded farm in a folder of its own."""

    def __init__(self, home: Path, **changes: Any) -> None:
        values: dict[str, Any] = {"lease_seconds": 3.0, "heartbeat_seconds": 0.5, "grace_seconds": 2.0}
        values |= {"poll_seconds": 0.02, "home": home, "toolchain": HERE, "disk_reserve": 0, "idle_seconds": 1.0}
        values |= {"sandbox": "off"} | changes
        self.settings = Settings(**values)
        self._make_signing_key()
        self.farm = LocalFarm(self.settings)
        self.store = LocalStore(self.settings.store)
        self.processes: list[ForkedWorker] = []

    def _make_signing_key(self) -> None:
        """Not a real one: no stub signs anything."""
        folder = self.settings.keys / "farm"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for name in ("signing.p12", "password"):
            (folder / name).write_text("stub")
            (folder / name).chmod(0o600)

    def submit(self, plan: dict[str, Any] | None = None, label: str = "Autocomplete") -> str:
        spec = JobSpec(model_kind=ModelKind.PRESET, model=json.dumps(plan or {}), app=AppSpec(label=label))
        return self.farm.submit(spec).job.id

    def database(self) -> Database:
        return open_database(self.settings.database)

    def serve(
        self,
        sandbox: Sandbox | None = None,
        *,
        idle_seconds: float | None = 0.0,
        runner: StageRunner | None = None,
    ) -> int:
        """Run what is queued, in this process."""
        chosen = runner or stub_runner(self.settings, sandbox)
        return service.serve(self.settings, idle_seconds=idle_seconds, runner=chosen)

    def start_worker(
        self,
        sandbox: Sandbox | None = None,
        *,
        idle_seconds: float | None = None,
        runner: StageRunner | None = None,
    ) -> ForkedWorker:
        """Run a worker in a process of its own."""
        return self.fork(lambda: self.serve(sandbox, idle_seconds=idle_seconds, runner=runner))

    def start_embedded(self, runner: StageRunner) -> ForkedWorker:
        """A worker that looks for itself, whatever the farm; it ends when nothing is queued."""
        return self.fork(lambda: self.serve(runner=runner))

    def reopen(self) -> None:
        """In a forked child: connections of its own."""
        self.farm = LocalFarm(self.settings)

    def fork(self, work: Callable[[], object]) -> ForkedWorker:
        """Do this in a process of its own."""
        process = ForkedWorker(self.settings.home / "workers.log", work)
        self.processes.append(process)
        return process

    def wait(self, job_id: str, seconds: float = 30.0) -> JobView:
        """Until the job has ended."""
        self.until(lambda: self.farm.job(job_id).state.terminal, seconds)
        return self.farm.job(job_id)

    def until(self, condition: Callable[[], Any], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                log = self.settings.home / "workers.log"
                raise AssertionError(f"not within {seconds} s\n{log.read_text()[-2000:] if log.exists() else ''}")
            time.sleep(0.01)

    def close(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()
