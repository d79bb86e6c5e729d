"""Where the farm's own files lie: the checkout, or the folder that the wheel was installed into."""

from __future__ import annotations

from pathlib import Path

# Only names of folders: whoever reads a file in them declares it.
DATA_FILES: tuple[str, ...] = ()

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
ANDROID_BUILDER = ROOT / "android-builder"
PACKAGES = ("farm", "db", "client", "pipeline", "worker", "server", "cli")
CHECKOUT = (ROOT / "pyproject.toml").is_file()  # False where a wheel was installed
