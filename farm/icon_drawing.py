"""The process that draws a stranger's SVG: `python -m farm.icon_drawing WIDTH SECONDS`, the SVG in, its PNG out.

A picture of a few lines can ask for more time and memory than there is, so that both are limited before it is read.
SECONDS: of processor time.
"""

from __future__ import annotations

import resource
import sys

MEMORY = 1 << 30
# The exit code for a picture that can't be drawn.
REFUSED = 3


def main() -> int:
    """Draw one picture."""
    content = sys.stdin.buffer.read().decode()
    seconds = int(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    import resvg_py

    try:
        drawn = bytes(resvg_py.svg_to_bytes(svg_string=content, width=int(sys.argv[1])))
    except (ValueError, RuntimeError, OSError):
        return REFUSED
    sys.stdout.buffer.write(drawn)
    return 0


if __name__ == "__main__":
    sys.exit(main())
