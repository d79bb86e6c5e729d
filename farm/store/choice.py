"""Which store the settings name."""

from __future__ import annotations

from importlib import import_module
from typing import cast

from farm.errors import SettingsInvalid, ToolMissing
from farm.settings import Settings
from farm.store.folder import LocalStore
from farm.store.protocol import ArtifactStore


def open_store(settings: Settings) -> ArtifactStore:
    """The store of `settings.store_url`, by default a folder in `settings.home`; SettingsInvalid, ToolMissing."""
    url = settings.store_url
    if url is None:
        return LocalStore(settings.store)
    if url.startswith("file://"):
        _require_one_file_system(settings)
        return LocalStore(settings.store)
    # What talks to the service takes half a second to import, and only a farm with a bucket has it installed.
    try:
        bucket = import_module("farm.store.bucket")
    except ModuleNotFoundError as error:
        raise ToolMissing(
            f"The package {error.name} is not installed, which a store in a bucket needs; run: pip install"
            " 'keras-android-farm[server]'"
        ) from error
    return cast(ArtifactStore, bucket.BucketStore(url, settings.store, settings.store_cache))


def _require_one_file_system(settings: Settings) -> None:
    """Files are moved into the store and linked out of it, which works on one file system only."""
    try:
        for folder in (settings.home, settings.store):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise SettingsInvalid(
            f"The store's folder {settings.store} cannot be made ({error.strerror}); set FARM_STORE_URL to another."
        ) from error
    if settings.home.stat().st_dev != settings.store.stat().st_dev:
        raise SettingsInvalid(
            f"FARM_STORE_URL and FARM_HOME are on different disks ({settings.store}, {settings.home}); put them on one."
        )
