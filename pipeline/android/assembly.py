"""Lays out an APK: what goes in, in which request, aligned to what."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from farm.appspec import Abi, AppSpec
from farm.artifacts import ArtifactName
from pipeline.android import archive, token_table
from pipeline.android.archive import Member
from pipeline.android.base import AppBase
from pipeline.inference.model_info import ModelInfo
from pipeline.request import StageRequest

APP_SETTINGS_ASSET = "assets/app-settings.json"
TOKEN_TABLE_ASSET = "assets/tokenizer.bin"  # noqa: S105  a file of the app
MODEL_ASSET = "assets/autocomplete.tflite"
# Neither gains by compression what it costs a phone to undo: the model is mapped, the table is there when it is read.
STORED_ASSETS = (MODEL_ASSET, TOKEN_TABLE_ASSET)
# What a job puts into the app, under the names by which the app opens them.
JOB_ASSETS: Mapping[ArtifactName, str] = {
    ArtifactName.MODEL: MODEL_ASSET,
    ArtifactName.TOKENIZER: "assets/tokenizer.json",
    ArtifactName.MODEL_INFO: "assets/model-info.json",
    ArtifactName.MODEL_CARD: "assets/model-card.json",
}


def write_app_settings(app: AppSpec, target: Path) -> None:
    """Write what a job decides about the app's behaviour, as the app reads it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps({"format": 1, "filter": app.filter}) + "\n")


def job_assets(request: StageRequest) -> dict[str, Path]:
    """What the job puts into the app, by entry name; its settings, and the table of a tokenizer that the app runs, are
    written into the stage's scratch folder."""
    settings = request.scratch / "app-settings.json"
    write_app_settings(request.spec.app, settings)
    assets = {name: request.input(artifact) for artifact, name in JOB_ASSETS.items()} | {APP_SETTINGS_ASSET: settings}
    if ModelInfo.read(request.input(ArtifactName.MODEL_INFO)).tokenizer is not None:
        assets[TOKEN_TABLE_ASSET] = request.scratch / "tokenizer.bin"
        token_table.write_token_table(request.input(ArtifactName.TOKENIZER), assets[TOKEN_TABLE_ASSET])
    return assets


def read_model_info(package: Path) -> ModelInfo:
    """What a package says of its model; FileUnreadable when that is damaged."""
    name = JOB_ASSETS[ArtifactName.MODEL_INFO]
    with zipfile.ZipFile(package) as opened:
        return ModelInfo.parse(opened.read(name), f"{package.name}!{name}")


def assemble(
    linked: Path, base: AppBase, assets: dict[str, Path], abis: Sequence[Abi], page_size: int, target: Path
) -> None:
    """Write the unsigned APK: linked resources, code, assets by entry name, libraries of the ABIs. Resources, code,
    libraries, the model and the tokenizer's table are stored, so that the system takes them as they are: the model and
    the libraries at multiples of `page_size`. Other assets are compressed."""
    archive.write(target, _members(linked, base, assets, abis, page_size))


def _members(
    linked: Path, base: AppBase, assets: dict[str, Path], abis: Sequence[Abi], page_size: int
) -> Iterator[Member]:
    with zipfile.ZipFile(linked) as resources:
        # The manifest first: installers look for it.
        for name in sorted(resources.namelist(), key=lambda name: (name != "AndroidManifest.xml", name)):
            yield Member(name, resources.read(name))
    for dex in base.dex_files():
        yield Member(dex.name, dex)
    for name, path in sorted((base.asset_files() | assets).items()):
        yield Member(name, path, page_size if name == MODEL_ASSET else 4, compressed=name not in STORED_ASSETS)
    for abi in abis:
        for library in base.libraries(abi):
            yield Member(f"lib/{abi.value}/{library.name}", library, page_size)
