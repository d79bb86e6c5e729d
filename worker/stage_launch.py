"""The command line and the environment of a stage's process."""

from __future__ import annotations

from collections.abc import Mapping

from farm import locations
from pipeline.request import StageRequest
from worker import control_group, process_tree, stage_files
from worker.control_group import ControlGroup

# What keeps a stage's processes in bounds where no control group does, and beside one: open files, the size of a file
# in blocks of 512 bytes, no memory written to disk, and the user's processes (0: a group counts them; `sh` may have
# either of two names for it). Then join the groups, then become the command.
_LAUNCH = """
ulimit -c 0; ulimit -n 4096 2>/dev/null; ulimit -f "$1"
[ "$2" = 0 ] || ulimit -u "$2" 2>/dev/null || ulimit -p "$2"
shift 2
while [ "$1" != -- ]; do echo $$ > "$1" || exit 125; shift; done
shift; exec "$@"
"""
# What a stage's process gets of the supervisor's environment; one with a network also gets what leads it to the hubs.
_PASSED_ON = ("PATH", "TZ", "JAVA_HOME")
_PASSED_ON_WITH_NETWORK = (
    "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "REQUESTS_CA_BUNDLE", "HF_TOKEN", "HF_ENDPOINT", "KAGGLE_USERNAME", "KAGGLE_KEY", "KAGGLE_API_TOKEN",
)  # fmt: skip
_FIXED = {
    # Java decodes the names of files by it: a farm below a folder with an umlaut works in any user's locale.
    "LC_ALL": "C.UTF-8",
    "KERAS_BACKEND": "tensorflow",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    "CUDA_VISIBLE_DEVICES": "-1",
    # NumPy's threads wait for each other without sleeping, so that a conversion beside other work takes many times as
    # long; what is worth more than one thread divides its products itself.
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    # Equal stages make equal files, so nothing may depend on the order of a set.
    "PYTHONHASHSEED": "0",
    "PYTHONUNBUFFERED": "1",
    # Weights come and go in pieces of some MB. By default the C library gives each back to the kernel, which clears its
    # pages for the next one: an eighth of a conversion's time.
    "MALLOC_MMAP_THRESHOLD_": str(64 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
    "MALLOC_TOP_PAD_": str(64 << 20),
}


def launched(command: tuple[str, ...], group: ControlGroup | None) -> tuple[str, ...]:
    """The command with its limits, in its group."""
    entrances = () if group is None else tuple(str(path) for path in group.entrances)
    limits = (str(stage_files.MAX_BYTES // 512), "0" if group is not None else str(control_group.PROCESSES))
    return ("/bin/sh", "-c", _LAUNCH, "stage", *limits, *entrances, "--", *command)


def environment(own: Mapping[str, str], request: StageRequest, mark: str, *, network: bool) -> dict[str, str]:
    """A stage's environment: little of the supervisor's `own`, its homes in the work folder, its mark."""
    names = _PASSED_ON + (_PASSED_ON_WITH_NETWORK if network else ())
    scratch = str(request.scratch)
    homes = {"HOME": scratch, "TMPDIR": scratch, "XDG_CACHE_HOME": scratch, "KERAS_HOME": f"{scratch}/.keras"}
    passed_on = {name: own[name] for name in names if name in own}
    marked = {process_tree.MARK_VARIABLE: mark, "PYTHONPATH": str(locations.ROOT)}
    return passed_on | _FIXED | homes | marked | {"OMP_NUM_THREADS": str(request.threads)}
