"""The versions that a job's report names."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

_PACKAGES = ("ai-edge-litert", "keras", "keras-hub", "numpy", "tensorflow", "tensorflow-text", "tokenizers")


@cache
def of_tools() -> dict[str, str]:
    """The installed versions of Python and of the packages that a reader asks for first; without those not there."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


@cache
def of_farm() -> str:
    """The installed version of the farm."""
    return metadata.version("keras-android-farm")
