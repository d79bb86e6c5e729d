"""What a model's metadata say to the farm: the key `farm`, which KerasHub leaves alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from pydantic import Field, ValidationError

from farm import sources
from farm.errors import BadPromptTemplate, ModelDamaged
from farm.job_request import FIELDS, JobOptions, Layer, refusal
from farm.modelref import ModelKind, ModelRef
from farm.prompting import Prompting
from pipeline.models import archives, jsonfile

METADATA = "metadata.json"
KEY = "farm"
LONGEST_LICENCE = 200


class Metadata(Prompting):
    """How the model wants to be spoken to, and the licence under which it comes, as one line.

    options: what else jobs of the model ask for where nobody says something else, by the options' fields.
    """

    licence: str | None = Field(default=None, min_length=1, max_length=LONGEST_LICENCE)
    options: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def prompting(self) -> Prompting:
        """The first part alone."""
        return Prompting(mode=self.mode, prompt_template=self.prompt_template, prompts=self.prompts)


# What the conversion takes from the metadata itself, also from those of a model that was fetched.
OWN = tuple(name for name in Metadata.model_fields if name != "options")


def options_of(ref: ModelRef) -> Layer:
    """What a local model's metadata ask for in a job; nothing of a model that is still to be fetched. ModelError."""
    if not ref.kind.local:
        return Layer({})
    path = Path(ref.value)
    if ref.kind is ModelKind.KERAS_FILE:
        sources.files(ref)  # says what a file is that is no model
        content = _content(path, path.name)
    else:
        content = _plain(path)
    return layer_of(content, path)


def layer_of(content: bytes, folder: Path = Path()) -> Layer:
    """The options that metadata of that content ask for. ModelDamaged."""
    return Layer(parse(content).options, folder, f"The key {KEY} of the model's {METADATA}", of_model=True)


def unread_options(ref: ModelRef, said: Metadata) -> tuple[str, ...]:
    """What to say of a fetched model whose metadata ask for more than how it is spoken to."""
    if not said.options or not ref.kind.on_hub:
        return ()
    asked = ", ".join(said.options)
    return (f"The model's metadata ask for {asked}, which is read of a local model only; give it to farm submit.",)


def read(folder: Path) -> Metadata:
    """What the model in a source folder says; a model without a word on it continues texts. ModelDamaged."""
    keras_file = folder / sources.KERAS_FILE
    return parse(_content(keras_file, sources.KERAS_FILE) if keras_file.is_file() else _plain(folder))


def parse(content: bytes) -> Metadata:
    """The metadata's own words; ModelDamaged when they are none that the farm knows."""
    metadata = jsonfile.parse(content, METADATA)
    said = metadata.get(KEY, {}) if isinstance(metadata, dict) else {}
    if not isinstance(said, dict):
        raise ModelDamaged(f"The key {KEY} of {METADATA} is no table of settings; correct it or leave it out.")
    options = {name: value for name, value in said.items() if name not in OWN}
    _require_options(options)
    try:
        return Metadata.model_validate({**{name: said[name] for name in OWN if name in said}, "options": options})
    except BadPromptTemplate as error:
        raise ModelDamaged(f"The key {KEY} of {METADATA} is refused: {error}") from error
    except ValidationError as error:
        place = ".".join(str(part) for part in (KEY, *error.errors()[0]["loc"]))
        raise ModelDamaged(
            f"{METADATA} is wrong at {place} ({error.errors()[0]['msg']}); correct it or leave the key out."
        ) from error


def _require_options(options: Mapping[str, Any]) -> None:
    source = f"The key {KEY} of {METADATA}"
    for name in options:
        if name in FIELDS and not FIELDS[name].option.of_model:
            raise ModelDamaged(
                f"{source} sets {name}, which a model may not do; leave it out, and give it to farm submit."
            )
    try:
        JobOptions.model_validate(options)
    except ValidationError as error:
        raise ModelDamaged(str(refusal(error, source, OWN))) from error


def in_keras_file(stream: BinaryIO, name: str) -> bytes:
    """The metadata in a `.keras` file that is open. ModelError."""
    with archives.opened_archive(stream, name) as archive:
        return archive.read(METADATA, jsonfile.CONFIG_BYTES) if METADATA in archive.members else b"{}"


def _content(keras_file: Path, name: str) -> bytes:
    with keras_file.open("rb") as stream:
        return in_keras_file(stream, name)


def _plain(folder: Path) -> bytes:
    path = folder / METADATA
    if not path.is_file():
        return b"{}"
    with path.open("rb") as stream:
        return stream.read(jsonfile.CONFIG_BYTES + 1)
