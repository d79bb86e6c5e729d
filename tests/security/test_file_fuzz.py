"""Broken files that people hand to commands: each is read or refused in the farm's own words, soon, and none crashes.

`farm run`, `farm inspect`, `farm chat` and the options that name a file read them in the user's own process.
"""

from __future__ import annotations

import io
import json
import random
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from farm import digests, icons, measurement
from farm.conversations import SavedConversation, SavedTurn
from pipeline.android.library_checks import LibraryPackage
from pipeline.inference import archive, inspection
from pipeline.litert_lm import bundle, container
from pipeline.ops import aar, reading
from tests.fixtures.bound_models import write_model_folder
from tests.fixtures.shared_measurement import SHARED
from tests.security.test_message_fuzz import broken
from tests.security.test_model_fuzz import damaged, run, tell

NUMBERS = (0, 1, 4, 7, 255, 1 << 15, 1 << 24, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><g id="a"><path d="M1 1h7v7z" fill="red"/></g></svg>'


def bent(chance: random.Random, data: bytes) -> bytes:
    """Binary data with up to eight numbers in it replaced, cut off, or broken as any text."""
    content = bytearray(data)
    for _ in range(chance.randrange(9)):
        # Tables and offsets stand at either end.
        near = chance.choice((64, 2048, len(content)))
        place = chance.randrange(max(1, min(near, len(content) - 4)))
        place = chance.choice((place, max(0, len(content) - 4 - place)))
        content[place : place + 4] = chance.choice(NUMBERS).to_bytes(4, "little")
    if chance.random() < 0.1:
        del content[chance.randrange(len(content)) :]
    return broken(chance, bytes(content)) if chance.random() < 0.2 else bytes(content)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a job leaves it, a package and a container of the same."""
    folder = tmp_path_factory.mktemp("finished")
    info = write_model_folder(folder)
    names = {"model.tflite": archive.MODEL_ASSET, "tokenizer.json": archive.TOKENIZER_ASSET}
    names["model-info.json"] = archive.INFO_ASSET
    with zipfile.ZipFile(folder / "app.apk", "w") as package:
        for name, entry in names.items():
            stored = name == "model.tflite"
            package.write(folder / name, entry, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)
    tokenizer = (folder / "tokenizer.json").read_bytes()
    sections = [container.model_section(folder / "model.tflite"), container.tokenizer_section(tokenizer)]
    sections.append(bundle.description_section(info, (folder / "model.tflite").stat().st_size))
    container.write(folder / "model.litertlm", sections, [("name", "fixture")])
    return folder


@pytest.mark.goal(id="A10")
@pytest.mark.parametrize("name", ["model.tflite", "app.apk", "model.litertlm"])
def test_broken_models_to_look_into(trial, finished: Path, tmp_path: Path, name: str) -> None:
    chance, whole, place = trial.chance, (finished / name).read_bytes(), tmp_path / name

    def read(data: bytes) -> None:
        place.write_bytes(data)
        inspection.inspect(place)

    tell(trial, f"{name} to farm inspect", run(trial.size(300, 10_000), lambda: bent(chance, whole), read))


@pytest.mark.goal(id="A10")
@pytest.mark.parametrize("name", ["app.apk", "model.litertlm"])
def test_broken_packages_to_run(trial, finished: Path, tmp_path: Path, name: str) -> None:
    chance, whole, place = trial.chance, (finished / name).read_bytes(), tmp_path / name

    def read(data: bytes) -> None:
        place.write_bytes(data)
        archive.find_limit(place)
        with archive.find_files(place):
            pass

    tell(trial, f"{name} to farm run", run(trial.size(300, 10_000), lambda: bent(chance, whole), read))


@pytest.mark.goal(id="A10")
def test_broken_descriptions_of_a_model(trial, finished: Path, tmp_path: Path) -> None:
    """With hashes that are right, as whoever made the files can have them."""
    chance = trial.chance
    info = json.loads((finished / "model-info.json").read_bytes())
    tokenizer = (finished / "tokenizer.json").read_bytes()
    (tmp_path / "model.tflite").write_bytes(b"a model")

    def make() -> tuple[bytes, bytes]:
        text = damaged(chance, tokenizer) if chance.random() < 0.7 else tokenizer
        said = info | {"model_sha256": digests.of_bytes(b"a model"), "tokenizer_sha256": digests.of_bytes(text)}
        described = json.dumps(said).encode()
        return text, described if text != tokenizer else damaged(chance, described)

    def read(data: tuple[bytes, bytes]) -> None:
        (tmp_path / "tokenizer.json").write_bytes(data[0])
        (tmp_path / "model-info.json").write_bytes(data[1])
        with archive.find_files(tmp_path / "model.tflite") as files:
            assert files.text is not None or files.info.tokenizer_sha256 is None
            if files.text is not None:
                tokens = files.text.encode("The story\n of 日本 <|end|>")
                files.text.continue_text([*tokens[:50], 0, 5, 299])

    tell(trial, "model-info.json and tokenizer.json to farm run", run(trial.size(300, 10_000), make, read))


@pytest.mark.goal(id="A10")
def test_broken_models_and_libraries_to_check(trial, finished: Path, tmp_path: Path) -> None:
    """What `farm ops` and `farm check` read themselves, before Android's own tools do."""
    chance, model = trial.chance, (finished / "model.tflite").read_bytes()

    def read_model(data: bytes) -> None:
        (tmp_path / "model.tflite").write_bytes(data)
        list(reading.read_operators(tmp_path / "model.tflite"))

    tell(trial, "models to farm ops", run(trial.size(300, 10_000), lambda: bent(chance, model), read_model))
    stream, jar = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(jar, "w") as classes:
        classes.writestr("dev/kerasfarm/generation/TextGenerator.class", b"code")
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as library:
        for name, content in (
            ("AndroidManifest.xml", b"<manifest/>"), ("classes.jar", jar.getvalue()), ("classes.dex", bytes(200)),
            ("jni/arm64-v8a/libx.so", b"\x7fELF" + bytes(300)), ("lib/arm64-v8a/libx.so", b"\x7fELF" + bytes(300)),
        ):  # fmt: skip
            library.writestr(name, content)
    whole, place = stream.getvalue(), tmp_path / "library.aar"

    def read_library(data: bytes) -> None:
        place.write_bytes(data)
        package = LibraryPackage(place)
        for entry in package.entries.values():
            package.content(entry)
            package.digest(entry)
        assert package.classes is None or isinstance(package.classes, frozenset)
        aar.read(place)
        aar.has_class(place, "TextGenerator")

    tell(trial, "AARs to farm check and ops", run(trial.size(300, 10_000), lambda: bent(chance, whole), read_library))


@pytest.mark.goal(id="A10")
def test_broken_conversations(trial) -> None:
    chance = trial.chance
    turns = (SavedTurn("a?", "b", "thought"), SavedTurn("c?"))
    saved = SavedConversation(turns, system="s", title="t", model="m", model_sha256="0" * 64)
    whole = saved.to_json().encode()

    def read(data: bytes) -> None:
        SavedConversation.parse(data, "saved.json").to_json().encode()

    tell(trial, "conversations", run(trial.size(300, 10_000), lambda: damaged(chance, whole), read))


@pytest.mark.goal(id="A10")
def test_broken_measurements(trial) -> None:
    chance, whole = trial.chance, json.dumps(SHARED).encode()
    found = run(trial.size(300, 10_000), lambda: damaged(chance, whole), lambda data: measurement.parse(data, "m.json"))
    tell(trial, "measurements", found)


@pytest.mark.goal(id="A10")
def test_broken_icons(trial) -> None:
    chance, stream = trial.chance, io.BytesIO()
    Image.new("RGBA", (48, 48), (200, 10, 10, 128)).save(stream, "PNG")
    whole = stream.getvalue()
    for kind, picture, count in (("PNG", whole, trial.size(300, 10_000)), ("SVG", SVG, trial.size(20, 300))):
        found = run(count, lambda picture=picture: bent(chance, picture), lambda data: icons.layer(data, "icon"))
        tell(trial, f"icons as {kind}", found)
