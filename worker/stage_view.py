"""What every stage sees of the machine: programs, libraries, certificates, fonts, the interpreter, the farm's own code.

Of /etc only what programs were seen to need, and no folder of private keys; the lists of users and groups are its own.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from farm import locations

_ETC = (
    "alternatives", "fonts", "java-*", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "localtime", "mime.types",
    "pki/ca-trust/extracted", "pki/tls/certs", "ssl/certs", "ssl/openssl.cnf", "timezone",
)  # fmt: skip
_ETC_WITH_NETWORK = ("ca-certificates", "ca-certificates.conf", "host.conf", "hosts", "nsswitch.conf", "resolv.conf")
_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_OWN_PACKAGES = ("farm", "pipeline", "android-builder")


@dataclass(frozen=True)
class Parts:
    """folders: to be bound where they are. links: bubblewrap's words for links. covered: folders in these that nobody
    shall look into."""

    folders: tuple[Path, ...]
    links: tuple[str, ...]
    covered: tuple[Path, ...]


@cache
def parts(network: bool) -> Parts:
    """The same for all stages of a process."""
    links: list[str] = []
    folders = [Path("/usr")]
    for name in map(Path, _SYSTEM):
        # A link as a link, a folder as a folder: distributions differ.
        if name.is_symlink():
            links += ["--symlink", str(name.readlink()), str(name)]
        elif name.is_dir():
            folders.append(name)
    patterns = _ETC + (_ETC_WITH_NETWORK if network else ())
    folders += [path for pattern in patterns for path in sorted(Path("/etc").glob(pattern))]
    folders += [Path(sys.base_prefix), Path(sys.prefix), *(locations.ROOT / name for name in _OWN_PACKAGES)]
    searched = [folder for folder in folders if folder.is_relative_to("/etc")]
    covered = [path for folder in searched for path in folder.rglob("private") if path.is_dir()]
    return Parts(tuple(folders), tuple(links), tuple(covered))


def parents(bound: Iterable[Path]) -> list[Path]:
    """All folders above these, the outermost first, but those that are bound themselves or lie below such."""
    given = list(bound)
    above = {parent for path in given for parent in path.parents if parent != Path("/")}
    return sorted(folder for folder in above if not any(folder.is_relative_to(path) for path in given))


@cache
def lists_of_users(user: int) -> tuple[int, int]:
    """Descriptors, not inherited, of the two lists: of root, whose files it sees, and the stage's user."""
    lines = (
        f"root:x:0:0:root:/:/usr/sbin/nologin\nstage:x:{user}:{user}:stage:/:/usr/sbin/nologin\n",
        f"root:x:0:\nstage:x:{user}:\n",
    )
    return _kept("passwd", lines[0]), _kept("group", lines[1])


def _kept(name: str, text: str) -> int:
    descriptor = os.memfd_create(name)
    os.write(descriptor, text.encode())
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor
