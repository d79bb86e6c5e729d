"""One change tried with the tests that reach it, in a child of a process that has imported the libraries already."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

# Imported once; a child then starts its tests within a second.
LIBRARIES = (
    "pytest", "numpy", "sqlalchemy", "alembic.command", "pydantic_settings", "httpx", "typer", "rich.progress",
    "celery", "fastapi", "huggingface_hub", "kagglehub", "safetensors", "h5py", "sentencepiece", "tokenizers",
    "jinja2", "PIL.Image", "psycopg", "redis", "fsspec", "tensorflow", "keras", "ai_edge_litert.interpreter",
)  # fmt: skip
WALL_SECONDS = 900.0
CAUGHT, SURVIVED, ENDLESS, NO_TESTS = "caught", "survived", "endless", "no tests"


def preload() -> None:
    """Import the libraries, none of the farm's own modules."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in LIBRARIES:
        importlib.import_module(name)
    # pytest loads its plugins each time, some of which bring much along.
    for plugin in importlib.metadata.entry_points(group="pytest11"):
        importlib.import_module(plugin.module)


def attempt(tests: Sequence[str], scratch: Path, cpu_seconds: float) -> str:
    """What becomes of these tests, node ids or files, in the current folder. Stops at the first that fails.

    cpu_seconds: how much processor time they may take, which does not depend on what else the machine does.
    """
    child = os.fork()
    if child == 0:
        _run_tests(tests, scratch, cpu_seconds)
    deadline = time.monotonic() + WALL_SECONDS
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            break
        if time.monotonic() > deadline:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return ENDLESS
        time.sleep(0.05)
    # Programs that the tests started.
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    if os.WIFSIGNALED(status):
        return ENDLESS if os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL) else CAUGHT
    code = os.WEXITSTATUS(status)
    return {0: SURVIVED, 4: NO_TESTS, 5: NO_TESTS}.get(code, CAUGHT)


def _run_tests(tests: Sequence[str], scratch: Path, cpu_seconds: float) -> None:
    """Never returns."""
    code = 3
    try:
        os.setpgid(0, 0)
        limit = int(time.process_time() + cpu_seconds) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
        with Path(os.devnull).open("w") as nothing:
            os.dup2(nothing.fileno(), 1)
            os.dup2(nothing.fileno(), 2)
        sys.path.insert(0, str(Path.cwd()))
        import pytest

        code = int(
            pytest.main(
                [
                    *("-q", "-x", "-n", "0", "-p", "no:cacheprovider", f"--basetemp={scratch}"),
                    *("-W", "ignore::pytest.PytestAssertRewriteWarning", *tests),
                ]
            )
        )
    finally:
        os._exit(code)
