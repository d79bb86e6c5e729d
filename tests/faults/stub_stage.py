"""A stage program for the fault tests: makes small outputs from its inputs, and misbehaves on request.

The job's model reference is JSON: {stage name: [action, argument]}; every other stage just works. Plain Python
without the farm's packages, so that hundreds of jobs run in seconds.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

OUTPUTS = {
    "fetch": ("source/",),
    "check": ("checked.json",),
    "convert": ("model.tflite", "tokenizer.json", "description.json", "reference.npz", "model-info.json"),
    "ops": ("ops.json",),
    "verify": ("golden.json", "model-card.json"),
    "litert-lm": ("model.litertlm",),
    "reference-run": ("reference-run.json",),
    "aar": ("aar.json",),
    "stringsapp": ("app-base/",),
    "app": ("app-base/",),
    "package": ("app.apk",),
    "bundle": ("app.aab",),
    "jvm-check": ("host-run.json",),
    "arm-check": ("arm-run.json",),
    "sdk": ("generation.aar", "android-project.zip"),
    "screenshots": ("screenshot-light.png", "screenshot-dark.png"),
}


def main(workdir: Path) -> int:
    request = json.loads((workdir / "request.json").read_text())
    stage = request["stage"]
    plan = json.loads(request["spec"]["model"])
    result: dict[str, Any] = {}
    if stage in plan:
        result = act(plan[stage][0], plan[stage][1], workdir) or {}
    if "failure" not in result:
        write_outputs(workdir, stage, json.dumps(plan.get("seed", 0)) if stage == "fetch" else "")
    report(1.0, "written")
    (workdir / "result.json").write_text(json.dumps(result))
    return 0 if "failure" not in result else 1


def write_outputs(workdir: Path, stage: str, seed: str) -> None:
    digest = hashlib.sha256(seed.encode())
    for path in sorted((workdir / "inputs").rglob("*")):
        if path.is_file():
            digest.update(path.read_bytes())
    for name in OUTPUTS[stage]:
        content = f"{stage} {name} {digest.hexdigest()}"
        target = workdir / "outputs" / name.rstrip("/")
        if name.endswith("/"):
            (target / "deep").mkdir(parents=True)
            (target / "config.json").write_text(content)
            (target / "deep" / "weights").write_text(content[::-1])
        else:
            target.write_text(content)


def report(share: float, activity: str) -> None:
    os.write(
        int(os.environ["FARM_PROGRESS_FD"]), json.dumps({"fraction": share, "activity": activity}).encode() + b"\n"
    )


def act(action: str, argument: Any, workdir: Path) -> dict[str, Any] | None:
    if action == "sleep":
        report(0.5, "sleeping")
        time.sleep(argument)
    elif action == "fail":
        code, sentence = argument
        return {"failure": {"code": code, "sentence": sentence}}
    elif action == "skip":
        return {"skips": dict(argument), "notes": ["a note"], "attributes": {"answer": 42}}
    elif action == "metric":
        name, value, unit = argument
        return {"metrics": [{"name": name, "value": value, "unit": unit}]}
    elif action == "exit":
        os.write(1, b"about to end\n")
        os._exit(argument)
    elif action == "signal":
        os.kill(os.getpid(), argument)
        time.sleep(60)
    elif action == "once":
        # Misbehave in the first attempt only; `argument` is [file, then].
        mark, then = argument
        if not Path(mark).exists():
            Path(mark).touch()
            return act(then[0], then[1], workdir)
    elif action == "kill-worker":
        kill_worker(argument)
    elif action == "kill-worker-later":
        # From a helper outside the stage, one of `argument` seconds after the stage has ended.
        kill = f"os.kill({os.getppid()}, signal.SIGKILL)"
        detach(f"import os, signal, time; os.read(0, 1); time.sleep({argument[os.getpid() % len(argument)]}); {kill}")
    elif action == "memory":
        hold = bytearray(argument)
        hold[:: os.sysconf("SC_PAGE_SIZE")] = b"x" * len(hold[:: os.sysconf("SC_PAGE_SIZE")])
        time.sleep(60)
    elif action == "disk":
        with (workdir / "scratch" / "big").open("wb") as stream:
            try:
                for _ in range(argument):
                    stream.write(b"x" * (1 << 20))
                    stream.flush()
            except OSError as error:
                return {"failure": {"code": "disk-full", "sentence": f"The disk is full ({error.errno})."}}
        time.sleep(60)
    elif action == "grandchildren":
        # The first of these folders that can be written.
        spawn_grandchildren(next(Path(each) for each in argument if os.access(each, os.W_OK)))
        report(0.5, "grown")
        time.sleep(60)
    elif action == "adopt":
        folder = workdir / "adopt" / "graphs"
        folder.mkdir(parents=True)
        (folder / f"{'0' * 64}.tflite").write_text(argument)
    elif action == "link":
        (workdir / "outputs" / OUTPUTS[json.loads((workdir / "request.json").read_text())["stage"]][0]).symlink_to(
            argument
        )
        (workdir / "result.json").write_text("{}")
        os._exit(0)
    elif action == "probe":
        Path(workdir / "outputs" / "checked.json").write_text("")
        os.write(1, json.dumps({path: readable(path) for path in argument}).encode() + b"\n")
    elif action == "environment":
        os.write(1, json.dumps(dict(os.environ)).encode() + b"\n")
    elif action == "arguments":
        os.write(1, json.dumps(sys.argv[1:]).encode() + b"\n")
    elif action == "no-outputs":
        (workdir / "result.json").write_text("{}")
        os._exit(0)
    elif action == "garbage":
        os.write(int(os.environ["FARM_PROGRESS_FD"]), b"\xff garbage\n{}\n" + b"x" * 100_000)
    return None


def readable(path: str) -> bool:
    try:
        target = Path(path)
        next(target.iterdir(), None) if target.is_dir() else target.open("rb").close()
    except OSError:
        return False
    return True


def kill_worker(mark: str) -> None:
    """Kill the supervisor, the first time."""
    if not Path(mark).exists():
        Path(mark).touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(60)


def detach(code: str) -> None:
    """Run code that outlives the stage, without its mark; its standard input ends with the stage."""
    reading, writing = os.pipe()
    os.set_inheritable(writing, False)
    # A log that somebody could still write to has not ended.
    streams: dict[str, Any] = {"stdin": reading, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    helper = subprocess.Popen([sys.executable, "-I", "-S", "-c", code], start_new_session=True, env={}, **streams)
    os.close(reading)
    # Out of the stage's control groups, whose members end with the stage.
    for group in ("memory/", "pids/", "cpu/", ""):
        with contextlib.suppress(OSError):
            Path(f"/sys/fs/cgroup/{group}cgroup.procs").write_text(str(helper.pid))


def spawn_grandchildren(folder: Path) -> None:
    """A child, one in a session of its own, and one that is double-forked and ignores SIGTERM."""
    sleep = "import os, sys, time, signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    sleep += "open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(120)"
    python = [sys.executable, "-I", "-S", "-c", sleep]
    subprocess.Popen([*python, str(folder / "child")])
    subprocess.Popen([*python, str(folder / "session")], start_new_session=True)
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.execv(sys.executable, [*python, str(folder / "daemon")])  # noqa: S606 # that is the point
        os._exit(0)
    os.wait()
    while len(list(folder.iterdir())) < 3:
        time.sleep(0.01)


if __name__ == "__main__":
    # Started ahead of its turn it waits until it is told to go on, or its supervisor is gone.
    if "--ahead" in sys.argv and not sys.stdin.buffer.read(1):
        sys.exit(0)
    sys.exit(main(Path(sys.argv[1])))
