"""The system calls that no stage needs, as a compiled filter that bubblewrap loads.

A stage works on files and starts programs. What reaches past that (namespaces, mounts, keyrings, other processes'
memory, devices, the kernel's own programs) fails with EPERM, and calls of another architecture's table end the process.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache

LIBRARY = "libseccomp.so.2"

_ALLOW = 0x7FFF0000
_ERRNO = 0x00050000
_EQUAL, _GREATER, _MASKED_EQUAL = 4, 6, 7

REFUSED = (
    "acct", "add_key", "bpf", "chroot", "clock_adjtime", "clock_settime", "create_module", "delete_module",
    "fanotify_init", "finit_module", "fsconfig", "fsmount", "fsopen", "fspick", "get_kernel_syms", "get_mempolicy",
    "init_module", "io_uring_enter", "io_uring_register", "io_uring_setup", "ioperm", "iopl", "kcmp",
    "kexec_file_load", "kexec_load", "keyctl", "lookup_dcookie", "mbind", "memfd_secret", "migrate_pages", "mount",
    "mount_setattr", "move_mount", "move_pages", "msgget", "name_to_handle_at", "nfsservctl", "open_by_handle_at",
    "open_tree", "perf_event_open", "pidfd_getfd", "pivot_root", "process_madvise", "process_vm_readv",
    "process_vm_writev", "ptrace", "query_module", "quotactl", "quotactl_fd", "reboot", "request_key", "semget",
    "set_mempolicy", "set_mempolicy_home_node", "setdomainname", "sethostname", "setns", "settimeofday", "shmget",
    "stime", "swapoff", "swapon", "sysfs", "syslog", "umount", "umount2", "unshare", "uselib", "userfaultfd", "ustat",
    "vhangup", "vm86", "vm86old",
)  # fmt: skip

# Of the kinds of sockets those of this machine and of the internet, and netlink, which looks addresses up; AF_VSOCK,
# which reaches a virtual machine's host, is in no namespace.
_SOCKETS = frozenset({1, 2, 10, 16})
_LAST_SOCKET = 16
_NAMESPACES = 0x7E020080
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C


class _Comparison(ctypes.Structure):
    _fields_ = (
        ("argument", ctypes.c_uint),
        ("operator", ctypes.c_int),
        ("first", ctypes.c_uint64),
        ("second", ctypes.c_uint64),
    )


def missing() -> str | None:
    """Why no filter can be made here; None when one can."""
    try:
        _library()
    except OSError:
        return "the library libseccomp2 is not installed"
    return None


def compiled(*, memory_files: bool) -> int:
    """A descriptor with the filter, not inherited. memory_files: whether files in memory that no limit counts are let
    in, which they may be where a control group counts them."""
    return _compiled(memory_files)


@cache
def _compiled(memory_files: bool) -> int:
    library = _library()
    context = library.seccomp_init(_ALLOW)
    if not context:
        raise OSError(errno.ENOMEM, "no filter of system calls can be made")
    try:
        for name in REFUSED:
            _refuse(library, context, name)
        # Namespaces by clone are seen in its flags; those of clone3 lie in memory, where no filter looks, so that the C
        # library is told to take the other.
        for bit in (1 << shift for shift in range(32)):
            if bit & _NAMESPACES:
                _refuse(library, context, "clone", _Comparison(0, _MASKED_EQUAL, bit, bit))
        _refuse(library, context, "clone3", error=errno.ENOSYS)
        for kind in sorted(set(range(_LAST_SOCKET)) - _SOCKETS):
            _refuse(library, context, "socket", _Comparison(0, _EQUAL, kind, 0))
        _refuse(library, context, "socket", _Comparison(0, _GREATER, _LAST_SOCKET, 0))
        for request in (_TIOCSTI, _TIOCLINUX):
            _refuse(library, context, "ioctl", _Comparison(1, _MASKED_EQUAL, 0xFFFFFFFF, request))
        if not memory_files:
            _refuse(library, context, "memfd_create", error=errno.ENOMEM)
        descriptor = os.memfd_create("stage-filter")
        _check(library.seccomp_export_bpf(context, descriptor))
    finally:
        library.seccomp_release(context)
    os.lseek(descriptor, 0, os.SEEK_SET)
    return descriptor


def _refuse(library: ctypes.CDLL, context: int, name: str, *conditions: _Comparison, error: int = errno.EPERM) -> None:
    number = library.seccomp_syscall_resolve_name(name.encode())
    # Below zero: unknown to the library, or no call of this architecture.
    if number < 0:
        return
    array = (_Comparison * max(1, len(conditions)))(*conditions)
    _check(library.seccomp_rule_add_array(context, _ERRNO | error, number, len(conditions), array))


def _check(code: int) -> None:
    if code != 0:
        raise OSError(-code, os.strerror(-code))


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(LIBRARY)
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_syscall_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison),
    )  # fmt: skip
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    return library
