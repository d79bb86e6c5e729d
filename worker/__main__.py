"""`python -m worker`: a worker in this process; the background worker of the embedded farm is one too."""

from __future__ import annotations

import argparse
import logging
import sys

from farm import log_lines, settings
from farm.errors import FarmError
from worker import service


def main(arguments: list[str]) -> int:
    """Work until there is nothing more to do or the process is asked to stop; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m worker", description="Run the farm's queued jobs.")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--once", action="store_true", help="leave as soon as no job is queued")
    length.add_argument("--idle", type=float, metavar="SECONDS", help="leave when no job was queued for so long")
    parser.add_argument("--worker-id", help=argparse.SUPPRESS)
    chosen = parser.parse_args(arguments)
    log_lines.begin()
    try:
        service.serve(settings.load(), once=chosen.once, idle_seconds=chosen.idle, worker_id=chosen.worker_id)
    except FarmError as error:
        logging.getLogger("farm.worker").error("%s", error.sentence)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
