"""`scripts/faults` in a worker's container: the same limits as docker-compose.yml, the checkout lent to it to read.

The image is the worker's with the tests' servers and the Android tools beside it; Python and its packages are those of
the checkout's environment, which must be of Debian's own Python. What needs Docker itself (S10) runs outside.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from farm import locations
from tests.compose.daemon import docker_environment
from tests.compose.test_hostile_container import AS_COMPOSED
from tests.faults import figures

IMAGE = "farm-faults:test"
# Beside the worker's own, for the tests' servers and files in memory.
MEMORY = "10g"
KEEP, WRITE = "--keep", "--write"


def main() -> int:
    """Build, run with the given arguments, and give the exit code of the run."""
    root = locations.ROOT
    arguments = sys.argv[1:]
    kept = Path(arguments[arguments.index(KEEP) + 1]).absolute() if KEEP in arguments else root / ".faults"
    if written := WRITE in arguments:
        # The checkout can't be written from inside.
        del arguments[arguments.index(WRITE) : arguments.index(WRITE) + 2]
    kept.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(kept, 10001, 10001)
    limits = list(AS_COMPOSED)
    limits[limits.index("--memory") + 1] = MEMORY
    environment = {
        "PYTHONDONTWRITEBYTECODE": "1", "PYTEST_ADDOPTS": "-o cache_dir=/var/lib/farm/cache", "HOME": "/var/lib/farm",
        "TMPDIR": "/var/lib/farm", "HYPOTHESIS_STORAGE_DIRECTORY": "/var/lib/farm/hypothesis",
    }  # fmt: skip
    with docker_environment() as outside:
        subprocess.run(["scripts/images", "worker"], cwd=root, env=outside, check=True)
        build = ["docker", "build", "--quiet", "--network", "host", "--tag", IMAGE, "containers/faults"]
        subprocess.run(build, cwd=root, env=outside, check=True)
        command = ["docker", "run", "--rm", *limits, "--volume", f"{root}:{root}:ro", "--volume", f"{kept}:{kept}"]
        command += [part for name, value in environment.items() for part in ("--env", f"{name}={value}")]
        command += ["--workdir", str(root), IMAGE, str(root / "scripts/faults"), *arguments]
        code = subprocess.run(command, env=outside, check=False).returncode
    if written:
        rows = [figure.cells() for figure in figures.kept_figures(kept)]
        figures.write(rows, *figures.PAGES["container"])
    return code


if __name__ == "__main__":
    sys.exit(main())
