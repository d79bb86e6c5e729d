"""Stages that take all they can get, or won't end: the job ends as it should, and others run on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from farm.errors import ArtifactDamaged, DiskFull, OutOfMemory, StageCrashed
from farm.states import JobState
from tests.security.hostile_farm import HostileFarm
from tests.security.test_hostile_messages import left_behind
from worker import control_group

FILL = "data = b'x' * (1 << 20)\nwhile True:\n    "
END = "\nstub.write_outputs(workdir, 'check', '')\n(workdir / 'result.json').write_text('{}')"
MEMORY = {
    "heap": "held = []\n" + FILL + "held.append(bytearray(data))",
    "many heaps": "import mmap\nfor _ in range(4):\n    if not os.fork():\n        break\n" + "held = []\n" + FILL
    + "held.append(bytearray(data))",
    "file in memory": "f = os.memfd_create('x')\n" + FILL + "os.write(f, data)",
    "/tmp": "f = open('/tmp/x', 'wb')\n" + FILL + "f.write(data)",
    "/dev/shm": "f = open('/dev/shm/x', 'wb')\n" + FILL + "f.write(data)",
    "shared mapping": "import mmap\nheld = []\n" + FILL + "held.append(mmap.mmap(-1, 1 << 20)); held[-1].write(data)",
}  # fmt: skip
OTHERS = {
    "processes": ("import time\nn = 0\ntry:\n    while True:\n        if not os.fork():\n            time.sleep(60)\n"
                  "        n += 1\nexcept OSError:\n    os._exit(9)", (StageCrashed, OutOfMemory)),
    "threads": ("import threading, time\nwhile True:\n    threading.Thread(target=time.sleep, args=(60,)).start()",
                (StageCrashed, OutOfMemory)),
    "a sparse file of 400 GiB": ("f = os.open(workdir / 'outputs' / 'checked.json', os.O_CREAT | os.O_WRONLY)\n"
                                 "os.ftruncate(f, 400 << 30)" + END, (StageCrashed, DiskFull)),
    "60,000 files": ("for n in range(60_000):\n    os.close(os.open(workdir / 'outputs' / str(n), os.O_CREAT))" + END,
                     (ArtifactDamaged,)),
    "1,500 deep": ("for _ in range(1500):\n    os.mkdir('d'); os.chdir('d')" + END, (ArtifactDamaged, None)),
    "1,500 deep in the outputs": ("os.chdir(workdir / 'outputs')\nfor _ in range(1500):\n    os.mkdir('d')\n"
                                  "    os.chdir('d')" + END, (ArtifactDamaged,)),
    "closed folders": ("d = workdir / 'scratch' / 'a'\n(d / 'b').mkdir(parents=True)\n(d / 'b' / 'c').touch()\n"
                       "(d / 'b').chmod(0)\nd.chmod(0)" + END, (None,)),
}  # fmt: skip
# Each counts as a process of the user.
THREADS = (
    "import threading, time\ntry:\n    while True:\n"
    "        threading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n"
    "except RuntimeError as e:\n    raise OSError(11, str(e))"
)
STUBBORN = (
    "import signal, time\nfor n in range(1, 65):\n    try:\n        signal.signal(n, signal.SIG_IGN)\n"
    "    except (OSError, ValueError):\n        pass\nfor _ in range(5):\n    if not os.fork():\n        os.setsid()\n"
    'progress(b\'{"fraction": 0.5, "activity": "begun"}\\n\')\nos.environ.clear()\nwhile True:\n    time.sleep(1)'
)


@pytest.mark.goal(id="R11")
@pytest.mark.goal(id="A5")
def test_bombs(make_hostile, trial) -> None:
    if control_group.find() is None:
        pytest.skip("this user may make no control group; the folders' sizes are tested by the next test")
    attempts = 3 if trial.goal == "R11" else 1
    farm = make_hostile(memory_limit=150 << 20, max_attempts=attempts)
    bombs = {**{name: (code, (OutOfMemory,)) for name, code in MEMORY.items()}, **OTHERS}
    jobs = {farm.attack(code, seed=name): (name, ends) for name, (code, ends) in bombs.items()}
    other = farm.attack("", stage="none")
    worker = farm.work()
    assert worker.wait(1800) == 0, (farm.settings.home / "workers.log").read_text()[-5000:]
    wrong = []
    for job_id, (name, ends) in jobs.items():
        error = farm.farm.job(job_id).error
        if (error and error.code) not in [each and each.code() for each in ends]:
            wrong.append(f"{name}: {error and error.sentence}")
    most = max(farm.farm.job(job_id).attempt for job_id in jobs)
    trial.measured(f"{len(jobs)} bombs ({', '.join(bombs)}), {len(wrong)} ended wrongly, {most} attempts at most")
    assert most <= attempts
    assert wrong == []
    assert farm.farm.job(other).state is JobState.SUCCEEDED
    assert left_behind(farm) == []


@pytest.mark.goal(id="A5")
def test_without_a_control_group_memory_and_processes_are_limited(hostile: HostileFarm, monkeypatch, trial) -> None:
    monkeypatch.setattr(control_group, "find", lambda: None)
    codes = [MEMORY["/tmp"], MEMORY["/dev/shm"], MEMORY["file in memory"], THREADS]
    kept = "try:\n    {}\nexcept OSError as e:\n    open(1, 'w', closefd=False).write(f'refused {{e.errno}}\\n')"
    jobs = [hostile.attack(kept.format(code.replace("\n", "\n    ")), seed=n) for n, code in enumerate(codes)]
    hostile.work_here()
    trial.measured(
        f"without a control group: {len(jobs)} bombs (/tmp, /dev/shm, a file in memory, threads), all refused"
    )
    for job_id in jobs:
        assert any(line.startswith("refused ") for line in hostile.farm.logs(job_id)), list(hostile.farm.logs(job_id))


@pytest.mark.goal(id="R13")
@pytest.mark.goal(id="R14")
@pytest.mark.goal(id="A4")
def test_stubborn_stages_end(hostile: HostileFarm, trial) -> None:
    """One that ignores every signal, forks and forgets its mark: cancelled, then its worker is asked to end."""
    wanted = trial.size(2, 50)
    slowest = {"cancel": 0.0, "SIGTERM": 0.0}
    for number in range(wanted):
        way = ("cancel", "SIGTERM")[number % 2]
        job_id = hostile.attack(STUBBORN, seed=number)
        worker = hostile.work(idle_seconds=None)
        hostile.until(
            lambda job_id=job_id: any("begun" in str(s.note or s) for s in hostile.farm.job(job_id).stages), 60
        )
        started = time.monotonic()
        if way == "cancel":
            hostile.farm.cancel(job_id)
            assert hostile.wait(job_id).state is JobState.CANCELLED
        else:
            worker.send_signal(signal.SIGTERM)
            assert worker.wait() == 0
            hostile.farm.cancel(job_id)
        slowest[way] = max(slowest[way], time.monotonic() - started)
        worker.kill()
        worker.wait()
        assert survivors(hostile) == []
    trial.measured(
        f"{wanted} of {wanted}: cancelled in {slowest['cancel']:.1f} s, worker gone in {slowest['SIGTERM']:.1f} s"
    )
    assert slowest["cancel"] <= 15
    assert slowest["SIGTERM"] <= 5


def survivors(farm: HostileFarm) -> list[str]:
    """Processes of this farm's hostile stages that still live; other tests have theirs beside them."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != os.getpid():
            try:
                words = (folder / "cmdline").read_bytes()
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if b"hostile_stage.py" in words and bytes(farm.settings.home) in words and state not in "ZX":
                found.append(words.decode(errors="replace"))
    return found
