"""A stage program that tries to get out: run as the product runs stages, in the sandbox, it reports what it got.

The job's model reference is JSON: {"hostile": stage, "do": what, "given": {...}, "also": {stage: what}}; every other
stage is the stub's.
Plain Python without packages, so that it says what any code in a stage could do.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import importlib.util
import json
import os
import resource
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

LIBC = ctypes.CDLL(None, use_errno=True)
REFUSED = {errno.EPERM, errno.ENOSYS, errno.EACCES, errno.ENOMEM}
NEWUSER, NEWNS = 0x10000000, 0x00020000

# x86_64 and aarch64. The arguments are such that the kernel would go further than a refusal if it let the call in.
CALLS: dict[str, tuple[int, int | None, tuple[int, ...]]] = {
    "unshare user": (272, 97, (NEWUSER,)),
    "unshare mounts": (272, 97, (NEWNS,)),
    "unshare network": (272, 97, (0x40000000,)),
    "unshare processes": (272, 97, (0x20000000,)),
    "setns": (308, 268, (0, 0)),
    "mount": (165, 40, (0, 0, 0, 0x1000, 0)),
    "umount2": (166, 39, (0, 0)),
    "pivot_root": (155, 41, (0, 0)),
    "chroot": (161, 51, (0,)),
    "fsopen": (430, 430, (0, 0)),
    "fsconfig": (431, 431, (0, 0, 0, 0, 0)),
    "fsmount": (432, 432, (0, 0, 0)),
    "fspick": (433, 433, (0, 0, 0)),
    "move_mount": (429, 429, (0, 0, 0, 0, 0)),
    "open_tree": (428, 428, (0, 0, 0)),
    "mount_setattr": (442, 442, (0, 0, 0, 0, 0)),
    "ptrace": (101, 117, (0, 0, 0, 0)),
    "process_vm_readv": (310, 270, (1, 0, 0, 0, 0, 0)),
    "process_vm_writev": (311, 271, (1, 0, 0, 0, 0, 0)),
    "process_madvise": (440, 440, (0, 0, 0, 0, 0)),
    "pidfd_getfd": (438, 438, (0, 0, 0)),
    "kcmp": (312, 272, (1, 1, 0, 0, 0)),
    "keyctl": (250, 219, (0, -3, 0)),
    "add_key": (248, 217, (0, 0, 0, 0, -3)),
    "request_key": (249, 218, (0, 0, 0, 0)),
    "bpf": (321, 280, (0, 0, 0)),
    "perf_event_open": (298, 241, (0, 0, -1, -1, 0)),
    "userfaultfd": (323, 282, (0,)),
    "io_uring_setup": (425, 425, (1, 0)),
    "io_uring_enter": (426, 426, (0, 0, 0, 0, 0)),
    "io_uring_register": (427, 427, (0, 0, 0, 0)),
    "kexec_load": (246, 104, (0, 0, 0, 0)),
    "kexec_file_load": (320, 294, (-1, -1, 0, 0, 0)),
    "init_module": (175, 105, (0, 0, 0)),
    "finit_module": (313, 273, (-1, 0, 0)),
    "delete_module": (176, 106, (0, 0)),
    "swapon": (167, 224, (0, 0)),
    "swapoff": (168, 225, (0,)),
    "reboot": (169, 142, (0, 0, 0, 0)),
    "settimeofday": (164, 170, (0, 0)),
    "clock_settime": (227, 112, (0, 0)),
    "clock_adjtime": (305, 266, (0, 0)),
    "sethostname": (170, 161, (0, 0)),
    "setdomainname": (171, 162, (0, 0)),
    "acct": (163, 89, (0,)),
    "quotactl": (179, 60, (0, 0, 0, 0)),
    "syslog": (103, 116, (10, 0, 0)),
    "iopl": (172, None, (3,)),
    "ioperm": (173, None, (0, 1, 1)),
    "open_by_handle_at": (304, 265, (0, 0, 0)),
    "name_to_handle_at": (303, 264, (0, 0, 0, 0, 0)),
    "fanotify_init": (300, 262, (0, 0)),
    "memfd_secret": (447, 447, (0,)),
    "shmget": (29, 194, (0, 4096, 0o1600)),
    "msgget": (68, 186, (0, 0o1600)),
    "semget": (64, 190, (0, 1, 0o1600)),
    "set_mempolicy": (238, 237, (0, 0, 0)),
    "get_mempolicy": (239, 236, (0, 0, 0, 0, 0)),
    "mbind": (237, 235, (0, 0, 0, 0, 0, 0)),
    "move_pages": (279, 239, (0, 0, 0, 0, 0, 0)),
    "migrate_pages": (256, 238, (0, 0, 0, 0)),
    "vhangup": (153, 58, ()),
    "lookup_dcookie": (212, 18, (0, 0, 0)),
    "clone into a user namespace": (56, 220, (NEWUSER | 17, 0, 0, 0, 0)),
    "clone into a mount namespace": (56, 220, (NEWNS | 17, 0, 0, 0, 0)),
    "clone3": (435, 435, (0, 0)),
}
SETTINGS = (
    "kernel/core_pattern", "kernel/modprobe", "kernel/hostname", "kernel/panic", "kernel/randomize_va_space",
    "kernel/sysrq", "kernel/printk", "kernel/hotplug", "kernel/ns_last_pid", "vm/overcommit_memory", "vm/drop_caches",
    "fs/suid_dumpable", "fs/protected_hardlinks", "fs/file-max", "net/ipv4/ip_forward", "user/max_user_namespaces",
)  # fmt: skip
HIDDEN = (
    "/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssl/private", "/etc/ssh", "/etc/machine-id", "/etc/apt",
    "/etc/cron.d", "/etc/hosts", "/etc/resolv.conf", "/root/.ssh", "/root/.bashrc", "/root/.config", "/root/.profile",
    "/home", "/var", "/run", "/srv", "/opt", "/boot", "/sys", "/sys/fs/cgroup", "/run/docker.sock",
    "/var/run/docker.sock", "/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmsg", "/dev/sda", "/dev/vda", "/dev/kvm",
    "/dev/fuse", "/dev/net/tun", "/dev/loop0", "/proc/1/mem", "/proc/1/root/etc/shadow", "/proc/1/root/home",
    "/proc/1/cwd/../../../etc/shadow", "/proc/vmallocinfo", "/proc/slabinfo",
)  # fmt: skip
UNWRITABLE = (
    "/", "/usr", "/usr/bin", "/etc", "/dev", "/proc", "/bin", "/lib", "/usr/lib", "/etc/ssl/certs", "/usr/share",
)  # fmt: skip
FAMILIES = {
    "AF_VSOCK": 40, "AF_ALG": 38, "AF_PACKET": 17, "AF_BLUETOOTH": 31, "AF_KEY": 15, "AF_CAN": 29, "AF_XDP": 44,
    "AF_RDS": 21, "AF_TIPC": 30, "AF_APPLETALK": 5, "AF_X25": 9, "AF_AX25": 3,
}  # fmt: skip


def main(workdir: Path) -> int:
    request = json.loads((workdir / "request.json").read_text())
    plan = json.loads(request["spec"]["model"])
    code = plan["do"] if request["stage"] == plan["hostile"] else plan["also"].get(request["stage"])
    if code is None:
        return int(stub().main(workdir))
    if code == "probe":
        return probe(workdir, plan["given"])
    # The words of a test of this repository, not of anybody else.
    exec(compile(code, "hostile", "exec"), {"workdir": workdir, "request": request, "stub": stub(), "os": os,  # noqa: S102
                                                  "json": json, "sys": sys, "progress": progress})  # fmt: skip
    return 0


def progress(data: bytes) -> None:
    os.write(int(os.environ["FARM_PROGRESS_FD"]), data)


def stub():
    """The well-behaved stage."""
    place = Path(__file__).parents[1] / "faults" / "stub_stage.py"
    spec = importlib.util.spec_from_file_location("stub_stage", place)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def probe(workdir: Path, given: dict) -> int:
    """Try everything; the names of what succeeded are the stage's attributes."""
    tried, got = [], []
    for name, attempt in probes(workdir, given):
        tried.append(name)
        try:
            if attempt():
                got.append(name)
        except (OSError, ValueError):
            continue
    stub().write_outputs(workdir, "check", "")
    (workdir / "result.json").write_text(json.dumps({"attributes": {"tried": tried, "got": got}}))
    return 0


def probes(workdir: Path, given: dict) -> Iterator[tuple[str, Callable[[], object]]]:
    machine = 1 if os.uname().machine == "aarch64" else 0
    for name, call in CALLS.items():
        if call[machine] is not None:
            yield f"system call {name}", lambda call=call: accepted(call[machine], call[2])
    for name in SETTINGS:
        yield f"write /proc/sys/{name}", lambda name=name: rewrite(f"/proc/sys/{name}")
    yield "write any of /proc/sys", lambda: any(writable_below(Path("/proc/sys")))
    for path in ("/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/acpi/wakeup", "/proc/timer_list"):
        yield f"write {path}", lambda path=path: rewrite(path)
    kept = (workdir / "inputs", Path(sys.prefix), Path(__file__).parent, *map(Path, given.get("seen", ())))
    for path in (*HIDDEN, *given["hidden"]):
        yield f"read {path}", lambda path=path: readable(path, kept)
    for folder in (*UNWRITABLE, *map(str, kept)):
        yield f"write into {folder}", lambda folder=folder: creates(Path(folder) / "hostile")
    yield "write an input", lambda: any(os.access(path, os.W_OK) for path in (workdir / "inputs").rglob("*"))
    yield "write the request", lambda: (workdir / "request.json").write_text("{}")
    yield "remove the request", lambda: (workdir / "request.json").unlink() or True
    yield "replace the request", lambda: replaces(workdir / "scratch" / "other", workdir / "request.json")
    yield "move the inputs away", lambda: (workdir / "inputs").rename(workdir / "moved")
    yield "link an input", lambda: os.link(an_input(workdir), workdir / "scratch" / "linked") or True
    for name, family in FAMILIES.items():
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM, socket.SOCK_RAW, socket.SOCK_SEQPACKET):
            yield f"a socket of {name}, kind {kind}", lambda family=family, kind=kind: socket.socket(family, kind)
    yield "a raw socket", lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1)
    yield "the machine's loopback", lambda: connects(("127.0.0.1", given["port"]))
    yield "the internet", lambda: connects(("1.1.1.1", 53))
    yield "look a name up", lambda: resolves("example.org")
    yield "an abstract socket of the machine", lambda: connects("\0" + given["abstract"], socket.AF_UNIX)
    yield "a network interface", lambda: [name for _, name in socket.if_nameindex() if name != "lo"]
    yield "see the supervisor", lambda: os.kill(given["supervisor"], 0) or True
    yield "kill the supervisor", lambda: os.kill(given["supervisor"], 9) or True
    yield "lower its priority to be killed", lambda: rewrite("/proc/self/oom_score_adj", "-1000")
    yield "a better priority", lambda: os.setpriority(os.PRIO_PROCESS, 0, -20) or True
    yield "real-time scheduling", lambda: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1)) or True
    yield "raise a hard limit", lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (1 << 19, 1 << 19)) or True
    yield "be root", lambda: os.getuid() == 0 or os.geteuid() == 0
    yield "become root", lambda: os.setuid(0) or True
    yield "become root's group", lambda: os.setgid(0) or True
    yield "join groups", lambda: os.setgroups([0]) or True
    yield "have groups", lambda: set(os.getgroups()) - {os.getgid()} - {65534}
    yield "capabilities", lambda: any(int(status(name), 16) for name in ("CapEff", "CapPrm", "CapInh", "CapAmb"))
    yield "privileges by a program", lambda: status("NoNewPrivs") != "1"
    yield "no filter", lambda: status("Seccomp") != "2"
    for program in ("su", "mount", "passwd", "newgrp", "chsh"):
        yield f"the setuid program {program}", lambda program=program: setuid_works(program)
    yield "a device", lambda: os.mknod(workdir / "scratch" / "device", stat.S_IFBLK | 0o600, os.makedev(8, 0)) or True
    yield "give a file to root", lambda: gives_to_root(workdir / "scratch" / "gift")
    yield "open descriptors", lambda: foreign_descriptors()
    yield "secrets in the environment", lambda: any(given["secret"] in value for value in os.environ.values())
    yield "secrets in others' environments", lambda: seen_in_processes(given["secret"].encode(), "environ")
    yield "others' command lines", lambda: seen_in_processes(b"pytest", "cmdline")
    yield "more processes than its own", lambda: len([n for n in os.listdir("/proc") if n.isdigit()]) > 8
    yield "keys", lambda: given["secret"] in Path("/proc/keys").read_text()
    yield "the machine's shared memory", lambda: os.listdir("/dev/shm") and given["shared"] in os.listdir("/dev/shm")
    yield "put words into a terminal", lambda: not fcntl.ioctl(0, 0x5412, b"x")
    yield "trace a child", lambda: subprocess.run(["strace", "true"], capture_output=True).returncode == 0
    yield "core files", lambda: resource.getrlimit(resource.RLIMIT_CORE)[1] != 0
    yield "the machine's name", lambda: os.uname().nodename != "stage"
    yield "the lists of users", lambda: len(Path("/etc/passwd").read_text().splitlines()) > 2


def accepted(number: int, arguments: tuple[int, ...]) -> bool:
    ctypes.set_errno(0)
    result = LIBC.syscall(number, *(ctypes.c_long(each) for each in arguments))
    if result == 0 and number in (56, 220):
        os._exit(0)
    if result >= 0:
        return True
    return ctypes.get_errno() not in REFUSED


def rewrite(path: str, text: str | None = None) -> bool:
    """Write what is already there, which harms nobody where the probe succeeds."""
    found = Path(path).read_text() if text is None else text
    Path(path).write_text(found)
    return True


def writable_below(folder: Path) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                os.close(os.open(f"{parent}/{name}", os.O_WRONLY))
                yield f"{parent}/{name}"
            except OSError:
                continue


def readable(path: str, kept: tuple[Path, ...] = ()) -> bool:
    """Whether a file can be read, or a folder holds more than the way to what the stage is to see."""
    target = Path(path)
    if target.is_dir():
        return any(not any(each.is_relative_to(found) for each in kept) for found in target.iterdir())
    with target.open("rb") as stream:
        stream.read(1)
    return True


def creates(path: Path) -> bool:
    path.touch(exist_ok=False)
    return True


def replaces(source: Path, target: Path) -> bool:
    source.touch()
    source.rename(target)
    return True


def an_input(workdir: Path) -> Path:
    return next(path for path in (workdir / "inputs").rglob("*") if path.is_file())


def connects(address, family: int = socket.AF_INET) -> bool:
    with socket.socket(family) as tried:
        tried.settimeout(1)
        tried.connect(address)
    return True


def resolves(name: str) -> bool:
    try:
        return bool(socket.getaddrinfo(name, 80))
    except socket.gaierror:
        return False


def status(name: str) -> str:
    return next(line.split()[1] for line in open("/proc/self/status") if line.startswith(f"{name}:"))


def setuid_works(program: str) -> bool:
    """Whether a setuid program runs as root: its children tell."""
    path = Path("/usr/bin") / program
    if not path.exists() or not path.stat().st_mode & stat.S_ISUID:
        return False
    with subprocess.Popen([path, "--hostile"], stdin=subprocess.DEVNULL, stdout=-3, stderr=-3) as started:
        try:
            effective = open(f"/proc/{started.pid}/status").read().split("Uid:")[1].split()[1]
        except (OSError, IndexError):
            return False
        finally:
            started.kill()
    return effective == "0" and os.geteuid() != 0


def gives_to_root(path: Path) -> bool:
    path.touch()
    os.chown(path, 0, 0)
    return True


def foreign_descriptors() -> list[str]:
    own = {0, 1, 2, int(os.environ["FARM_PROGRESS_FD"])}
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:
            continue
        if int(name) not in own and not target.startswith(("/proc/", str(Path(__file__).parent))):
            found.append(target)
    return found


def seen_in_processes(what: bytes, file: str) -> bool:
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                if what in Path(f"/proc/{name}/{file}").read_bytes():
                    return True
            except OSError:
                continue
    return False


if __name__ == "__main__":
    if "--ahead" in sys.argv and not sys.stdin.buffer.read(1):
        sys.exit(0)
    sys.exit(main(Path(sys.argv[1])))
