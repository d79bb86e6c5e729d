"""Model references: what a user may write where a model is asked for."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit

from farm import locations
from farm.errors import ModelNotFound

# The examples are models that a job names, not files that decide how one is treated.
DATA_FILES: tuple[str, ...] = ()


class ModelKind(StrEnum):
    """Where a model comes from."""

    PRESET = "preset"
    KAGGLE = "kaggle"
    HUGGINGFACE = "hf"
    FOLDER = "folder"
    KERAS_FILE = "keras"
    UPLOADED = "uploaded"

    @property
    def local(self) -> bool:
        """Whether the model lies on this machine's disk, at a path of the user's."""
        return self in (ModelKind.FOLDER, ModelKind.KERAS_FILE)

    @property
    def on_hub(self) -> bool:
        """Whether the network is needed to fetch it. An uploaded model lies in the store under its digest."""
        return self in (ModelKind.PRESET, ModelKind.KAGGLE, ModelKind.HUGGINGFACE)


@dataclass(frozen=True)
class ModelRef:
    """`value` is an absolute path for local kinds, the given name for an uploaded model, else what KerasHub's
    `from_preset` takes. adapter: path of a LoRA adapter on this machine that is merged into the model."""

    kind: ModelKind
    value: str
    adapter: str | None = None

    @property
    def text(self) -> str:
        """The reference as it is recorded and shown."""
        return self.value

    @property
    def short_name(self) -> str:
        """The last part, for titles: `tiny_gpt2` of `.../examples/tiny_gpt2`."""
        return Path(self.value.rstrip("/")).stem if self.kind.local else self.value.rstrip("/").rsplit("/", 1)[-1]


def likely_address(text: str) -> str | None:
    """The hub's address that was meant by a model's page, or by a name as hubs write it; None when there is none."""
    page = urlsplit(text)
    host = (page.hostname or "").removeprefix("www.")
    parts = [part for part in (page.path if host else text).split("/") if part]
    if host == "kaggle.com" and parts[:1] == ["models"] and len(parts) >= 5:
        return f"kaggle://{'/'.join(parts[1:6])}"
    if host in ("huggingface.co", "hf.co") and len(parts) >= 2:
        return f"hf://{parts[0]}/{parts[1]}"
    named = len(parts) == 2 and all(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", part) for part in parts)
    if named and not host and not text.startswith(("/", "examples/")) and not text.endswith((".keras", "/")):
        return f"hf://{parts[0]}/{parts[1]}"
    return None


def parse(text: str, base: Path | None = None) -> ModelRef:
    """Read a reference; relative paths are below `base` (default: the current folder).

    Order: a URL scheme, an existing path, `examples/<name>` of the repository, a `.keras` file name or anything with
    a slash (a path that does not exist: ModelNotFound), else a KerasHub preset name.
    """
    if text.startswith(("http://", "https://")):
        close = likely_address(text)
        hint = f"did you mean {close}?" if close else "give hf://ORGANISATION/MODEL or kaggle://ORGANISATION/MODEL/..."
        raise ModelNotFound(f"{text} is a page and no model; {hint}")
    for kind, scheme in ((ModelKind.KAGGLE, "kaggle://"), (ModelKind.HUGGINGFACE, "hf://")):
        if text.startswith(scheme):
            return ModelRef(kind, text)
    path = Path(text).expanduser()
    path = path if path.is_absolute() else (base or Path.cwd()) / path
    if not path.exists() and text.startswith("examples/"):
        path = locations.ROOT / text
    if path.is_dir():
        return ModelRef(ModelKind.FOLDER, str(path.resolve()))
    if path.is_file():
        return ModelRef(ModelKind.KERAS_FILE, str(path.resolve()))
    if re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text) and not text.endswith(".keras"):
        return ModelRef(ModelKind.PRESET, text)
    beside = _closest_beside(path, text)
    # A name of two parts is a path where its first part is a folder here.
    close = beside or (None if path.parent.is_dir() else likely_address(text))
    hint = f"did you mean {close}?" if close else "give a preset folder, a .keras file or a KerasHub preset name."
    raise ModelNotFound(f"There is no model at {text}; {hint}")


def _closest_beside(path: Path, text: str) -> str | None:
    """What lies in the same folder under a similar name, spelled as the text is."""
    names = [each.name for each in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"{text.rstrip('/')[: -len(path.name)]}{near[0]}" if near else None
