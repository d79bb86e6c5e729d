"""The sandbox that a stage runs in: it sees the programs, its work folder and what it was given, and nothing else.

A stage counts as an adversary: a model that it reads may have taken it over. docs/security.md says what each layer
stops.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from farm.errors import SandboxUnavailable
from farm.settings import SandboxMode
from worker import stage_user, stage_view, syscall_filter

PROBE_SECONDS = 10.0
OWN_PROC = ("--proc", "/proc")
GIVEN_PROC = ("--ro-bind", "/proc", "/proc")
# Room in folders that lie in memory, where no control group counts them.
MEMORY_FOLDER_BYTES = 64 << 20

# Opens what bubblewrap reads from descriptors: the filter and the lists of users and groups. Named by the path of this
# process's descriptor, each is read from its start however many stages are started.
_OPEN = 'exec 7<"$1" 8<"$2" 9<"$3"; shift 3; exec "$@"'


@dataclass(frozen=True)
class View:
    """What one stage may see. workdir: the only place it may write; readable: further files and folders; secrets: such
    that only their owner may read. user_files: some of these are a user's, who may have let nobody else read them.
    memory: how many bytes its files in memory may take, where a control group counts them; else None."""

    workdir: Path
    readable: tuple[Path, ...]
    network: bool
    secrets: tuple[Path, ...] = ()
    user_files: bool = False
    memory: int | None = None


class Sandbox(Protocol):
    """Wraps a stage's command."""

    @property
    def description(self) -> str:
        """As reports name it."""

    @property
    def confines(self) -> bool:
        """Whether there is one at all."""

    @property
    def reason(self) -> str:
        """Why there is none; empty where there is one."""

    def wrap(self, command: tuple[str, ...], view: View) -> tuple[str, ...]:
        """The command that runs `command` with this view."""

    def hand_over(self, view: View) -> None:
        """Let the stage write its work folder, and read its secrets."""


@dataclass(frozen=True)
class Bubblewrap:
    """All namespaces apart, no capabilities, no further namespaces, a filter of system calls, a root folder that is put
    together from read-only parts.

    own_proc: whether the stage has a /proc of its own. Container engines cover parts of theirs, and the kernel then
    lets nobody mount another; the stage sees the container's instead, read-only. Of other processes it can read there
    what everybody may (their command lines), but, being in a user namespace of its own, neither their memory, nor
    their environment, nor their files.
    own_user: whether the farm is root, who gives each stage a user of its own. Elsewhere a user namespace is what takes
    a stage's privileges away.
    """

    own_proc: bool = True
    own_user: bool = field(default_factory=stage_user.can_switch)
    confines = True
    reason = ""

    @property
    def description(self) -> str:
        """As reports name it."""
        return "bubblewrap" if self.own_proc else "bubblewrap, with the container's /proc"

    def wrap(self, command: tuple[str, ...], view: View) -> tuple[str, ...]:
        """See Sandbox. Everything in it dies with its outermost process, and that with the supervisor."""
        user = stage_user.of(view.workdir) if self.own_user else os.getuid()
        size = str(view.memory or MEMORY_FOLDER_BYTES)
        parts = stage_view.parts(view.network)
        words = ["bwrap", *self._namespaces(view), "--die-with-parent", "--hostname", "stage"]
        if view.network:
            words.append("--share-net")
        words += self._proc()
        words += ["--dev", "/dev", "--perms", "1777", "--size", size, "--tmpfs", "/dev/shm", "--remount-ro", "/dev"]  # noqa: S108 # its own
        words += ["--perms", "1777", "--size", size, "--tmpfs", "/tmp"]  # noqa: S108 # its own
        # Folders on the way to a bound one get its owner's permissions otherwise.
        bound = [*parts.folders, *view.readable, *view.secrets, view.workdir]
        for folder in stage_view.parents(bound):
            words += ["--perms", "0755", "--dir", str(folder)]
        words += parts.links
        for path in (*parts.folders, *view.readable, *view.secrets):
            words += ["--ro-bind-try", str(path), str(path)]
        for folder in parts.covered:
            words += ["--perms", "0000", "--tmpfs", str(folder), "--remount-ro", str(folder)]
        for descriptor, name in ((8, "passwd"), (9, "group")):
            words += ["--ro-bind-data", str(descriptor), f"/etc/{name}"]
        workdir = str(view.workdir)
        words += ["--bind", workdir, workdir]
        for name in ("inputs", "request.json"):
            words += ["--ro-bind", f"{workdir}/{name}", f"{workdir}/{name}"]
        words += ["--remount-ro", "/", "--seccomp", "7", "--chdir", workdir, "--", *self._change_user(user, view)]
        memory_files = view.memory is not None
        opened = (syscall_filter.compiled(memory_files=memory_files), *stage_view.lists_of_users(user))
        own = [f"/proc/{os.getpid()}/fd/{descriptor}" for descriptor in opened]
        return ("/bin/sh", "-c", _OPEN, "sandbox", *own, *words, *command)

    def hand_over(self, view: View) -> None:
        """See Sandbox."""
        if self.own_user:
            user = stage_user.of(view.workdir)
            workdir = view.workdir
            stage_user.give((workdir, workdir / "outputs", workdir / "scratch"), user)
            stage_user.give((path for secret in view.secrets for path in (secret, *secret.rglob("*"))), user)

    def _namespaces(self, view: View) -> tuple[str, ...]:
        if self.own_user:
            names = ("--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try")
            kept = ["CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"]
            if view.user_files:
                kept.append("CAP_DAC_READ_SEARCH")
            return (*names, "--cap-drop", "ALL", *(word for name in kept for word in ("--cap-add", name)))
        return unprivileged_namespaces(own_proc=self.own_proc)

    def _proc(self) -> tuple[str, ...]:
        if not self.own_proc:
            return GIVEN_PROC
        # Root's alone to write, and no stage is root; read-only beside that.
        return (*OWN_PROC, "--ro-bind-try", "/proc/sys", "/proc/sys")

    def _change_user(self, user: int, view: View) -> tuple[str, ...]:
        """What turns root into the stage's user, for good."""
        if not self.own_user:
            return ()
        words = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups", "--no-new-privs"]
        if view.user_files:
            # All that is in the view; what opens files past it the filter of system calls refuses.
            kept = "-all,+dac_read_search"
            return (*words, "--bounding-set", kept, "--inh-caps", kept, "--ambient-caps", kept, "--")
        return (*words, "--bounding-set", "-all", "--inh-caps", "-all", "--")


class Unconfined:
    """No sandbox: stages run as ordinary processes."""

    confines = False

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self.description = f"none ({reason})"

    def wrap(self, command: tuple[str, ...], view: View) -> tuple[str, ...]:  # noqa: ARG002 # nothing to hide
        """The command itself."""
        return command

    def hand_over(self, view: View) -> None:
        """Nothing to do: its user is the worker's."""


def unprivileged_namespaces(*, own_proc: bool) -> tuple[str, ...]:
    """How a worker that isn't root sets its stages apart.

    No further namespaces: where the container's /proc/sys is read-only, the kernel's own limit can't be set, and the
    filter of system calls alone refuses them.
    """
    limit = ("--disable-userns",) if own_proc else ()
    return ("--unshare-user", "--unshare-all", *limit, "--cap-drop", "ALL")


def choose(mode: SandboxMode) -> Sandbox:
    """The sandbox for this machine; SandboxUnavailable when one is required and does not work."""
    if mode is SandboxMode.OFF:
        return Unconfined("switched off by FARM_SANDBOX")
    found = find()
    if isinstance(found, Bubblewrap):
        return found
    if mode is SandboxMode.REQUIRED:
        raise SandboxUnavailable(f"Stages can't run in a sandbox here: {found}; {what_to_do(found)}")
    return Unconfined(found)


def find() -> Bubblewrap | str:
    """The sandbox that works here, or why none does."""
    fault = probe()
    if fault is None:
        return Bubblewrap()
    # A /proc that is the container's would show root's processes to a stage that is in no user namespace.
    if stage_user.can_switch() or probe(own_proc=False):
        return fault
    return Bubblewrap(own_proc=False)


def probe(*, own_proc: bool = True) -> str | None:
    """Why the sandbox does not work here; None when it does. own_proc: see Bubblewrap."""
    own_user = stage_user.can_switch()
    needed = ("bwrap", "setpriv") if own_user else ("bwrap",)
    for program in needed:
        if shutil.which(program) is None:
            return f"{_PACKAGES[program]} is not installed"
    if fault := syscall_filter.missing():
        return fault
    if os.geteuid() == 0 and not own_user:
        return "the worker is root without root's capabilities"
    if own_user:
        words: Sequence[str] = ("bwrap", "--unshare-pid", "--ro-bind", "/", "/", *OWN_PROC, "--", "true")
    else:
        words = ("bwrap", *unprivileged_namespaces(own_proc=own_proc), "--ro-bind", "/", "/",
                 *(OWN_PROC if own_proc else GIVEN_PROC), "--", "true")  # fmt: skip
    try:
        tried = subprocess.run(words, capture_output=True, timeout=PROBE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return "bubblewrap hangs"
    if tried.returncode != 0:
        return f"bubblewrap fails: {tried.stderr.decode(errors='replace').strip()[:200]}"
    return None


_PACKAGES = {"bwrap": "bubblewrap", "setpriv": "util-linux"}


def what_to_do(fault: str) -> str:
    """What lets a sandbox work where this fault was found."""
    otherwise = "or set FARM_SANDBOX=off if you trust every model that you convert."
    if fault.endswith("is not installed"):
        return f"run: apt-get install bubblewrap util-linux libseccomp2, {otherwise}"
    if "root without" in fault:
        return f"run the worker as an ordinary user of the container, or give it CAP_SYS_ADMIN, {otherwise}"
    restricted = Path("/proc/sys/kernel/apparmor_restrict_unprivileged_userns")
    if restricted.exists() and restricted.read_text().strip() == "1":
        return (
            "AppArmor lets no program make user namespaces here, as on Ubuntu since 23.10: install the profile of"
            f" bubblewrap (apt-get install apparmor-profiles, then load bwrap-userns-restrict), {otherwise}"
        )
    return (
        "allow user namespaces (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone; in a container see"
        f" docs/containers.md), {otherwise}"
    )
