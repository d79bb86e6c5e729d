"""What a phone measured, as the app shares it: read from a file that anybody may have written."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from farm.errors import MeasurementUnreadable

FILE_BYTES = 64 * 1024
# One line of letters, digits and plain signs: nothing that a terminal or a page would take for more than text.
Words = Annotated[str, StringConstraints(min_length=1, max_length=80, pattern=r"^[\w .,()+:/-]+$")]
Count = Annotated[int, Field(ge=1, le=1_000_000)]


class Measurement(BaseModel):
    """One measurement: medians over `runs` runs; times in seconds; peak_memory_bytes: of the whole process."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    format: Literal[1]
    kind: Literal["keras-farm-measurement"]
    device: Words
    android: Words
    abi: Words
    app_version: Annotated[str, StringConstraints(max_length=100)]
    model: Annotated[str, StringConstraints(max_length=500)]
    recipe: Annotated[str, StringConstraints(max_length=64)]
    model_sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    threads: Count
    runs: Count
    prompt_tokens: Count
    new_tokens: Count
    first_token_seconds: Annotated[float, Field(gt=0, le=86400, allow_inf_nan=False)]
    tokens_per_second: Annotated[float, Field(gt=0, le=1e7, allow_inf_nan=False)]
    peak_memory_bytes: Annotated[int, Field(ge=0, le=1 << 50)] | None


def read(path: Path) -> Measurement:
    """The measurement in a file; MeasurementUnreadable when it is none."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise MeasurementUnreadable(
            f"{path} can't be read ({error.strerror}); give the text that the app shared."
        ) from (error)
    return parse(content, path.name)


def parse(content: bytes, name: str) -> Measurement:
    """The measurement in a text; MeasurementUnreadable names what is wrong with it."""
    if len(content) > FILE_BYTES:
        raise MeasurementUnreadable(
            f"{name} is larger than {FILE_BYTES // 1024} KiB, so no measurement; give the text that the app shared."
        )
    try:
        return Measurement.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])[:60] or "its beginning"
        raise MeasurementUnreadable(
            f"{name} is no measurement of the app (wrong at {place!r}); share it again from the app's screen."
        ) from None
