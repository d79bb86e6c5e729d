from __future__ import annotations

from pathlib import Path

import pytest

from farm.errors import FileUnreadable, UsageError
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.oplist import OpSet, parse_names, parse_ops


def test_names_are_sorted_and_said_once() -> None:
    assert parse_names(["StringLength", "ADD", "StringLength", "TFText>Ngrams"]) == (
        "ADD",
        "StringLength",
        "TFText>Ngrams",
    )


@pytest.mark.parametrize("name", ["", "a b", "Flex*", "x" * 200, "a\nb", "1st"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="no name of an op"):
        parse_names([name])


def test_sets_by_name_and_files() -> None:
    assert parse_ops("flex", ["B", "A"]) == (OpSet.FLEX, ("A", "B"))
    Path("mine.txt").write_text("# my ops\nADD\n  StringLength  # text\n\n")
    assert parse_ops("mine.txt", ["MUL"]) == (OpSet.LISTED, ("ADD", "MUL", "StringLength"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_unknown_sets_and_bad_files() -> None:
    with pytest.raises(UsageError, match="no set of ops 'flx'; choose one of builtin, flex, tftext"):
        parse_ops("flx", [])
    with pytest.raises(FileUnreadable, match="can't be read as a list of ops"):
        parse_ops("./missing", [])
    Path("empty.txt").write_text("# nothing\n")
    with pytest.raises(FileUnreadable, match="names no op"):
        parse_ops("empty.txt", [])
    Path("binary.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(FileUnreadable, match="it is no text"):
        parse_ops("binary.txt", [])
    Path("huge.txt").write_bytes(b"A\n" * (1 << 20))
    with pytest.raises(FileUnreadable, match="too long"):
        parse_ops("huge.txt", [])


def test_they_are_part_of_the_jobs_key() -> None:
    plain = JobSpec(model_kind=ModelKind.PRESET, model="gpt2")
    wider = plain.model_copy(update={"ops": OpSet.FLEX})
    named = JobSpec(model_kind=ModelKind.PRESET, model="gpt2", allow_ops=("B", "A", "B"))
    assert named.allow_ops == ("A", "B")
    assert len({spec.key("code") for spec in (plain, wider, named)}) == 3
    assert (plain.allowed_ops, wider.allowed_ops) == (OpSet.BUILTIN, OpSet.FLEX)
