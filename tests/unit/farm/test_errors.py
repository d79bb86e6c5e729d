from __future__ import annotations

import re

import pytest

from farm import errors


def test_the_tree_in_the_docstring_is_the_tree_of_classes() -> None:
    drawn: dict[str, tuple[str | None, int | None]] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.fullmatch(r"(\s{4}[\s│├└─]*)([A-Z]\w+)(?: (\d+))?", line)
        if not match:
            continue
        depth = len(match[1])
        path = [(indent, name) for indent, name in path if indent < depth]
        drawn[match[2]] = (path[-1][1] if path else None, int(match[3]) if match[3] else None)
        path.append((depth, match[2]))

    real: dict[str, tuple[str | None, int | None]] = {}
    pending: list[type[errors.FarmError]] = [errors.FarmError]
    while pending:
        cls = pending.pop()
        parent = cls.__bases__[0].__name__ if cls is not errors.FarmError else None
        real[cls.__name__] = (parent, vars(cls).get("exit_code"))
        pending += cls.__subclasses__()
    assert drawn == real


def test_every_exit_code_is_its_own() -> None:
    codes = [cls.exit_code for cls in errors.all_errors()]
    assert len(codes) == len(set(codes))
    assert all(0 < code < 126 for code in codes)


def test_codes_are_readable_and_lead_back_to_the_class() -> None:
    assert errors.NotCausalLM.code() == "not-causal-lm"
    assert errors.DiskFull.code() == "disk-full"
    for cls in errors.all_errors():
        found = errors.from_code(cls.code(), "A sentence.")
        assert type(found) is cls
        assert found.sentence == "A sentence."


def test_an_unknown_code_is_still_an_error_with_its_sentence() -> None:
    found = errors.from_code("from-a-newer-farm", "Something new.")
    assert type(found) is errors.FarmError
    assert found.sentence == "Something new."


@pytest.mark.parametrize("cls", [errors.OutOfMemory, errors.StageTimeout, errors.WorkerLost, errors.StageCrashed])
def test_what_may_pass_by_itself_is_retried(cls: type[errors.FarmError]) -> None:
    assert cls.retryable


@pytest.mark.parametrize(
    "cls", [errors.ModelUnsafe, errors.QualityMissed, errors.UnsupportedFamily, errors.DiskFull, errors.HubUnreachable]
)
def test_what_stays_wrong_is_not(cls: type[errors.FarmError]) -> None:
    assert not cls.retryable
