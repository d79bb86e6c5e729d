"""Lists what decides each stage's result: `python -m pipeline.provenance [STAGE]`.

Without a stage: the numbers of its files. With one: the files and packages by name. The exit code is that of the error
when a module finds files or imports modules in a way that it does not declare.
"""

from __future__ import annotations

import sys

from farm.errors import FarmError
from farm.stages import STAGES
from pipeline.provenance.closure import Repository
from pipeline.provenance.packages import Environment
from pipeline.provenance.stage_code import stage_closure


def main() -> int:
    """See above."""
    repository, environment = Repository.of_farm(), Environment()
    wanted = sys.argv[1:]
    try:
        for stage in STAGES:
            closure = stage_closure(repository, stage)
            packages = environment.versions(closure.imports)
            if stage.name.value in wanted:
                lines = [*sorted(closure.files), *(f"{name}=={version}" for name, version in packages.items())]
                sys.stdout.write("".join(f"{line}\n" for line in lines))
            elif not wanted:
                counts = f"{len(closure.sources)} modules, {len(closure.data)} data files, {len(packages)} packages"
                sys.stdout.write(f"{stage.name:14} {counts}\n")
    except FarmError as error:
        sys.stderr.write(f"{error.sentence}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
