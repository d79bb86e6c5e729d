from __future__ import annotations

import ctypes
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from farm import modelref, sources
from farm.errors import ModelChanged, ModelEmpty, ModelError, ModelNotFound, NotCausalLM, UnsupportedFamily
from farm.modelref import ModelKind, ModelRef
from pipeline.models import fetching
from tests.security.model_files import write_keras, write_preset

AT_FDCWD, RENAME_EXCHANGE = -100, 2


def fetch(ref: ModelRef, tmp_path: Path, digest: str | None = None) -> str:
    return fetching.fetch(
        ref, tmp_path / "source", digest=digest, scratch=tmp_path / "scratch", report=lambda _share, _activity: None
    )


def test_a_preset_folder_is_copied_without_what_does_not_belong(tmp_path: Path) -> None:
    write_preset(tmp_path / "mine")
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    ref = ModelRef(ModelKind.FOLDER, str(tmp_path / "mine"))
    assert fetch(ref, tmp_path, sources.digest(ref)) == sources.digest(ref)
    copied = {path.relative_to(tmp_path / "source").as_posix() for path in (tmp_path / "source").rglob("*.*")}
    assert copied == set(sources.files(ref))
    assert (tmp_path / "mine" / "model.weights.h5").exists()


def test_a_keras_file_is_copied_under_the_store_s_name(tmp_path: Path) -> None:
    write_keras(tmp_path / "mine")
    ref = ModelRef(ModelKind.KERAS_FILE, str(tmp_path / "mine" / "model.keras"))
    assert fetch(ref, tmp_path) == sources.digest(ref)
    assert [path.name for path in (tmp_path / "source").iterdir()] == ["model.keras"]


def test_files_that_changed_since_submit_are_refused(tmp_path: Path) -> None:
    write_preset(tmp_path / "mine")
    ref = ModelRef(ModelKind.FOLDER, str(tmp_path / "mine"))
    before = sources.digest(ref)
    (tmp_path / "mine" / "metadata.json").write_text("{}")
    with pytest.raises(ModelChanged, match="submit it again"):
        fetch(ref, tmp_path, before)


def test_an_empty_and_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelEmpty):
        fetch(ModelRef(ModelKind.FOLDER, str(tmp_path)), tmp_path)
    with pytest.raises(ModelNotFound):
        fetch(ModelRef(ModelKind.FOLDER, str(tmp_path / "missing")), tmp_path)


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("gpt2_bass_en", ModelNotFound, "did you mean gpt2_base_en"),
        ("zzzzzzzzzzzz", ModelNotFound, "give a preset folder"),
        ("bert_base_en", NotCausalLM, "a BertBackbone, no CausalLM"),
        ("mixtral_8_7b_en", UnsupportedFamily, "supported families: Bloom"),
    ],
)
def test_preset_names_are_judged_before_any_download(
    tmp_path: Path, name: str, error: type[ModelError], words: str
) -> None:
    with pytest.raises(error, match=words):
        fetch(modelref.parse(name, tmp_path), tmp_path)


SECRET = b"planted-secret-7d1e"
SWAPS = 400


def test_a_swapped_link_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who may write the model's folder puts links in place of what was just looked at: of a file, of a folder
    in it, and of all of it."""
    model, hidden = tmp_path / "mine", tmp_path / "hidden"
    write_preset(model)
    (hidden / "assets/tokenizer").mkdir(parents=True)
    for name in sources.files(ModelRef(ModelKind.FOLDER, str(model))):
        (hidden / name).write_bytes(SECRET)
    places = ("model.weights.h5", "assets", "assets/tokenizer", "config.json", ".")
    for name in places[:-1]:
        (tmp_path / name.replace("/", ".")).symlink_to(hidden / name)
    (tmp_path / ".link").symlink_to(hidden)
    look, swapped = sources.files, list[tuple[Path, Path]]()

    def look_and_swap(ref: ModelRef) -> dict[str, Path]:
        found = look(ref)
        name = places[len(swapped) % len(places)]
        swapped.append((model / name, tmp_path / (name.replace("/", ".") if name != "." else ".link")))
        exchange(*swapped[-1])
        return found

    monkeypatch.setattr(sources, "files", look_and_swap)
    won = []
    for number in range(SWAPS):
        place = tmp_path / f"fetched-{number}"
        place.mkdir()
        with suppress(ModelError):
            fetch(ModelRef(ModelKind.FOLDER, str(model)), place)
        won += [path for path in place.rglob("*") if path.is_file() and path.read_bytes() == SECRET]
        shutil.rmtree(place)
        exchange(*swapped[-1])
    assert len(swapped) == SWAPS
    assert won == []


def exchange(one: Path, other: Path) -> None:
    """Each takes the other's name at once."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.renameat2(AT_FDCWD, bytes(one), AT_FDCWD, bytes(other), RENAME_EXCHANGE) == 0
