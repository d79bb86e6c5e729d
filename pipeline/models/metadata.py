"""What a model's metadata say to the farm: the key `farm`, which KerasHub leaves alone."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError

from farm import sources
from farm.errors import BadPromptTemplate, ModelDamaged
from farm.prompting import Prompting
from pipeline.models import archives, jsonfile

METADATA = "metadata.json"
KEY = "farm"
LONGEST_LICENCE = 200


class Metadata(Prompting):
    """How the model wants to be spoken to, and the licence under which it comes, as one line."""

    licence: str | None = Field(default=None, min_length=1, max_length=LONGEST_LICENCE)

    @property
    def prompting(self) -> Prompting:
        """The first part alone."""
        return Prompting(mode=self.mode, prompt_template=self.prompt_template, prompts=self.prompts)


def read(folder: Path) -> Metadata:
    """What the model in a source folder says; a model without a word on it continues texts. ModelDamaged."""
    keras_file, plain = folder / sources.KERAS_FILE, folder / METADATA
    if keras_file.is_file():
        with archives.open_archive(keras_file, sources.KERAS_FILE) as archive:
            content = archive.read(METADATA, jsonfile.CONFIG_BYTES) if METADATA in archive.members else b"{}"
    else:
        content = plain.read_bytes() if plain.is_file() else b"{}"
    return parse(content)


def parse(content: bytes) -> Metadata:
    """The metadata's own words; ModelDamaged when they are none that the farm knows."""
    metadata = jsonfile.parse(content, METADATA)
    said = metadata.get(KEY, {}) if isinstance(metadata, dict) else {}
    try:
        return Metadata.model_validate(said)
    except BadPromptTemplate as error:
        raise ModelDamaged(f"The key {KEY} of {METADATA} is refused: {error}") from error
    except ValidationError as error:
        place = ".".join(str(part) for part in (KEY, *error.errors()[0]["loc"]))
        raise ModelDamaged(
            f"{METADATA} is wrong at {place} ({error.errors()[0]['msg']}); correct it or leave the key out."
        ) from error
