"""The names of what stages pass on and what a user downloads."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ArtifactName(StrEnum):
    """Every file or folder that a stage makes, and one file of an uploaded model. Names ending in `/` are folders."""

    MODEL_FILE = "model-file"
    SOURCE = "source/"
    CHECKED = "checked.json"
    MODEL = "model.tflite"
    TOKENIZER = "tokenizer.json"
    DESCRIPTION = "description.json"
    REFERENCE = "reference.npz"
    MODEL_INFO = "model-info.json"
    OPS = "ops.json"
    GOLDEN = "golden.json"
    LITERT_LM = "model.litertlm"
    REFERENCE_RUN = "reference-run.json"
    AAR = "aar.json"
    MODEL_CARD = "model-card.json"
    APP_BASE = "app-base/"
    APK = "app.apk"
    BUNDLE = "app.aab"
    LIBRARY = "generation.aar"
    PROJECT = "android-project.zip"
    HOST_RUN = "host-run.json"
    ARM_RUN = "arm-run.json"
    SCREENSHOT_LIGHT = "screenshot-light.png"
    SCREENSHOT_DARK = "screenshot-dark.png"
    REPORT = "report.json"

    @property
    def is_folder(self) -> bool:
        """Whether the artifact is a tree of files."""
        return self.value.endswith("/")


# What `farm download` hands out, in this order.
PUBLISHED: tuple[ArtifactName, ...] = (
    ArtifactName.APK,
    ArtifactName.BUNDLE,
    ArtifactName.LIBRARY,
    ArtifactName.PROJECT,
    ArtifactName.MODEL,
    ArtifactName.LITERT_LM,
    ArtifactName.TOKENIZER,
    ArtifactName.MODEL_INFO,
    ArtifactName.OPS,
    ArtifactName.GOLDEN,
    ArtifactName.MODEL_CARD,
    ArtifactName.SCREENSHOT_LIGHT,
    ArtifactName.SCREENSHOT_DARK,
    ArtifactName.REPORT,
)


@dataclass(frozen=True)
class Artifact:
    """A stored artifact: `digest` is the SHA-256 of the file, or of a folder's listing; `size` in bytes."""

    name: ArtifactName
    digest: str
    size: int
