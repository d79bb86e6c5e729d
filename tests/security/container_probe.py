"""Run in a worker's container, in place of the worker: what its processes reach, and what a hostile stage in it does.

Prints JSON: by user, the names of what was tried and of what succeeded.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from farm.artifacts import ArtifactName
from tests.security.hostile_farm import HostileFarm
from tests.security.hostile_stage import accepted, connects, creates, readable, rewrite, setuid_works, status

SECRET = "planted-secret-5f0c"  # noqa: S105 # not a real one


def of_the_container() -> Iterator[tuple[str, Callable[[], object]]]:
    """What a process of the container may not do, whoever took it over."""
    for folder in ("/", "/usr", "/etc", "/opt/farm", "/root", "/var/lib", "/sys", "/proc", "/dev"):
        yield f"write into {folder}", lambda folder=folder: creates(Path(folder) / "hostile")
    for name in ("kernel/core_pattern", "kernel/modprobe", "vm/overcommit_memory", "net/ipv4/ip_forward"):
        yield f"write /proc/sys/{name}", lambda name=name: rewrite(f"/proc/sys/{name}")
    for path in ("/etc/shadow", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/proc/kcore", "/run/docker.sock",
                 "/var/run/docker.sock", "/proc/1/root/etc/shadow"):  # fmt: skip
        yield f"read {path}", lambda path=path: readable(path)
    for name, number, arguments in (
        ("bpf", (321, 280), (0, 0, 0)), ("keyctl", (250, 219), (0, -3, 0)), ("kexec_load", (246, 104), (0, 0, 0, 0)),
        ("init_module", (175, 105), (0, 0, 0)), ("perf_event_open", (298, 241), (0, 0, -1, -1, 0)),
        ("userfaultfd", (323, 282), (0,)), ("io_uring_setup", (425, 425), (1, 0)), ("reboot", (169, 142), (0, 0, 0, 0)),
        ("swapon", (167, 224), (0, 0)), ("settimeofday", (164, 170), (0, 0)),
    ):  # fmt: skip
        machine = 1 if os.uname().machine == "aarch64" else 0
        yield f"system call {name}", lambda n=number[machine], a=arguments: accepted(n, a)
    yield "be root", lambda: 0 in (os.getuid(), os.geteuid(), os.getgid())
    yield "become root", lambda: os.setuid(0) or True
    yield "capabilities", lambda: any(int(status(name), 16) for name in ("CapEff", "CapPrm", "CapInh", "CapBnd"))
    yield "privileges by a program", lambda: status("NoNewPrivs") != "1"
    yield "no filter", lambda: status("Seccomp") != "2"
    yield "a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    yield "a packet socket", lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    for program in ("su", "mount", "passwd"):
        yield f"the setuid program {program}", lambda program=program: setuid_works(program)


def of_a_stage() -> dict[str, list[str]]:
    """What a hostile stage tried and got."""
    os.environ["AWS_SECRET_ACCESS_KEY"] = SECRET
    with (
        tempfile.TemporaryDirectory(dir=os.environ["FARM_HOME"]) as home,
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as named,
    ):
        assert connects(listener.getsockname())
        named.bind("\0farm-hostile")
        named.listen()
        farm = HostileFarm(Path(home) / "home")
        hidden = [str(farm.settings.home / name) for name in ("farm.db", "keys", "store", "logs")]
        given = {
            "port": listener.getsockname()[1], "abstract": "farm-hostile", "supervisor": os.getpid(), "secret": SECRET,
            "shared": "nothing", "hidden": hidden, "seen": [sys.prefix],
        }  # fmt: skip
        job_id = farm.attack("probe", given)
        worker = farm.work()
        if worker.wait(600) != 0 or farm.farm.job(job_id).error is not None:
            raise SystemExit(f"{farm.farm.job(job_id).error}\n" + "\n".join(farm.farm.logs(job_id)))
        farm.farm.download(job_id, ArtifactName.REPORT, Path(home) / "report.json")
        report = json.loads((Path(home) / "report.json").read_text())
        found: dict[str, list[str]] = report["attributes"]["check"]
        return found | {"sandbox": [report["sandbox"]]}


def main() -> None:
    tried, got = [], []
    for name, attempt in of_the_container():
        tried.append(name)
        try:
            if attempt():
                got.append(name)
        except (OSError, ValueError):
            continue
    sys.stdout.write(json.dumps({"container": {"tried": tried, "got": got}, "stage": of_a_stage()}))


if __name__ == "__main__":
    main()
