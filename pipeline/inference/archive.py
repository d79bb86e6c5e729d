"""Opening a finished model from what a user has: a `.tflite` among its job's files, their folder, an APK or a
`.litertlm`."""

from __future__ import annotations

import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from farm import digests
from farm.errors import FileUnreadable
from farm.jobspec import SpecialTokens
from pipeline.binaries import zip_reading
from pipeline.inference.generation import Sampler, generate, greedy
from pipeline.inference.interpreter import TokenModel, open_token_model
from pipeline.inference.model_info import ModelInfo
from pipeline.litert_lm import bundle, container
from pipeline.tokenizers.codec import TextCodec

MODEL_ASSET = "assets/autocomplete.tflite"
TOKENIZER_ASSET = "assets/tokenizer.json"
INFO_ASSET = "assets/model-info.json"

# An APK and a library have their assets at their root, a bundle in its base module or, for a large model, in a pack.
MODULES = ("", "base/", "model/")

MODEL_FILE = "model.tflite"
TOKENIZER_FILE = "tokenizer.json"
INFO_FILE = "model-info.json"


class Form(Enum):
    """In what a model comes: alone with its files beside it, in an APK or a bundle, or in a `.litertlm`."""

    FILE, PACKAGE, CONTAINER = range(3)

    @classmethod
    def of(cls, path: Path) -> Form:
        """By the file's content; whatever is neither archive nor container is taken for the model itself."""
        if not path.is_file():
            return cls.FILE
        return cls.CONTAINER if container.is_container(path) else cls.PACKAGE if zipfile.is_zipfile(path) else cls.FILE


@dataclass(frozen=True)
class LanguageModel:
    """A model that writes text. text is None for a family whose tokenizer the farm can't write yet."""

    tokens: TokenModel
    text: TextCodec | None
    info: ModelInfo

    def prompt_tokens(self, prompt: str) -> list[int]:
        """The prompt's tokens, with the start token if the model has one; FileUnreadable without a tokenizer.

        Special tokens in it are what they are for the tokenizer in the file, where there is one.
        """
        start = [] if self.info.start_token is None else [self.info.start_token]
        codec = self._codec()
        text = self.info.special_tokens == SpecialTokens.TEXT
        return start + (codec.encode_literally(prompt) if text else codec.encode(prompt))

    def complete(self, prompt: str, max_new_tokens: int, sampler: Sampler = greedy) -> Iterator[str]:
        """What the model writes after the prompt, piece by piece; SequenceTooLong."""
        tokens = generate(self.tokens, self.prompt_tokens(prompt), max_new_tokens, self.info.stop_tokens, sampler)
        return self._codec().stream(tokens)

    def _codec(self) -> TextCodec:
        if self.text is None:
            raise FileUnreadable(
                f"The model {self.info.name} comes without a tokenizer, since the farm has none for {self.info.family};"
                " it can only be fed tokens."
            )
        return self.text


@dataclass(frozen=True)
class ModelFiles:
    """A model's file, sound by its hash, and what it comes with. text is None without a tokenizer of the app's kind."""

    path: Path
    text: TextCodec | None
    info: ModelInfo


def open_language_model(path: Path, threads: int = 1) -> LanguageModel:
    """Open a `.tflite`, a folder, an APK or a `.litertlm`; FileUnreadable in one sentence when that is not possible."""
    # The interpreter maps the file, so that its name can go as soon as it is open.
    with find_files(path) as files:
        return LanguageModel(open_token_model(files.path, threads, files.info.context), files.text, files.info)


@contextmanager
def find_files(path: Path) -> Iterator[ModelFiles]:
    """What a `.tflite`, a folder, an APK or a `.litertlm` holds, for as long as the context lasts; FileUnreadable."""
    if not path.is_dir() and not path.is_file():
        raise FileUnreadable(f"{path} does not exist; give a .tflite, an .apk, a .litertlm or a job's folder.")
    form = Form.of(path)
    if form is Form.FILE:
        yield _find_beside(path / MODEL_FILE if path.is_dir() else path)
        return
    unpack = _unpack_container if form is Form.CONTAINER else _unpack_package
    with tempfile.TemporaryDirectory(prefix="farm-model-") as folder:
        yield unpack(path, Path(folder) / MODEL_FILE)


def _find_beside(model: Path) -> ModelFiles:
    if not model.is_file():
        raise FileUnreadable(f"{model.parent} holds no {model.name}; give a folder that a farm job wrote.")
    info = ModelInfo.read(_beside(model, INFO_FILE))
    text = _open_tokenizer(
        info, lambda: _beside(model, TOKENIZER_FILE).read_bytes(), str(model.with_name(TOKENIZER_FILE))
    )
    # TFLite runs many damaged files without a word.
    _require_digest(info.model_sha256, digests.of_file(model), str(model))
    return ModelFiles(model, text, info)


def _beside(model: Path, name: str) -> Path:
    path = model.with_name(name)
    if not path.is_file():
        raise FileUnreadable(
            f"{model} lacks its {name} beside it; download the job's files into one folder with `farm download`."
        )
    return path


def _unpack_package(path: Path, model: Path) -> ModelFiles:
    with opened_package(path) as package:
        info = ModelInfo.parse(package.read(entry_of(package, INFO_ASSET)), f"{path}!{INFO_ASSET}")
        text = _open_tokenizer(
            info, lambda: package.read(entry_of(package, TOKENIZER_ASSET)), f"{path}!{TOKENIZER_ASSET}"
        )
        with package.open(entry_of(package, MODEL_ASSET)) as source, model.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
    _require_digest(info.model_sha256, digests.of_file(model), f"{path}!{MODEL_ASSET}")
    return ModelFiles(model, text, info)


def _unpack_container(path: Path, model: Path) -> ModelFiles:
    description = bundle.read_description(path)
    info = description.info
    text = _open_tokenizer(info, lambda: bundle.read_tokenizer(path), f"{path}!{TOKENIZER_FILE}")
    bundle.unpack_model(path, description.model_bytes, model)
    _require_digest(info.model_sha256, digests.of_file(model), f"{path}!{MODEL_FILE}")
    return ModelFiles(model, text, info)


def _open_tokenizer(info: ModelInfo, read: Callable[[], bytes], where: str) -> TextCodec | None:
    """The tokenizer that the model was made with; None for a model that needs none."""
    if info.tokenizer_sha256 is None:
        return None
    content = read()
    _require_digest(info.tokenizer_sha256, digests.of_bytes(content), where)
    return TextCodec(content, where)


def find_limit(path: Path) -> int | None:
    """How many tokens a text of the model may have, by the model-info.json beside it or in its package; None where that
    says nothing. The model itself is not read."""
    try:
        match Form.of(path):
            case Form.CONTAINER:
                return bundle.read_description(path).info.context
            case Form.PACKAGE:
                with opened_package(path) as package:
                    return ModelInfo.parse(package.read(entry_of(package, INFO_ASSET)), str(path)).context
            case Form.FILE:
                return ModelInfo.read(path.with_name(INFO_FILE)).context
    except FileUnreadable:
        # A file may be looked into whatever lies beside it.
        return None


def opened_package(path: Path) -> AbstractContextManager[zipfile.ZipFile]:
    """An APK or a bundle; FileUnreadable for what is damaged, now or when it is read."""
    return zip_reading.opened(path, FileUnreadable, f"{path} is a damaged package; download it again.")


def entry_of(package: zipfile.ZipFile, asset: str) -> zipfile.ZipInfo:
    """Where a package has an asset; FileUnreadable when it has not."""
    names = set(package.namelist())
    found = next((f"{module}{asset}" for module in MODULES if f"{module}{asset}" in names), None)
    if found is None:
        raise FileUnreadable(f"{package.filename} holds no {asset}; give an APK or a bundle that a farm job made.")
    return package.getinfo(found)


def _require_digest(expected: str | None, actual: str, where: str) -> None:
    if expected != actual:
        raise FileUnreadable(
            f"{where} is not the file that its {INFO_FILE} describes (its SHA-256 differs); download both again."
        )


def default_threads() -> int:
    """A thread for every CPU that this process may use, four at most: more do not help one token at a time."""
    return min(4, len(os.sched_getaffinity(0)))
