"""What LiteRT-LM's library must be able to read of the machine."""

from __future__ import annotations

from pathlib import Path

# Its allocator ends the process where it can't count the machine's processors.
PATH = Path("/sys/devices/system/cpu/possible")
