"""What an artifact calls its model."""

from __future__ import annotations

import pytest

from farm.modelref import ModelKind, ModelRef
from pipeline.inference.model_info import identity


@pytest.mark.parametrize("kind", [ModelKind.FOLDER, ModelKind.KERAS_FILE, ModelKind.UPLOADED])
def test_a_path_and_a_file_name_are_nobodys_business(kind: ModelKind) -> None:
    name, source = identity(ModelRef(kind, "/home/anna/secret-project"), "gpt2", "0123456789" * 6 + "abcd")
    assert (name, source) == ("gpt2 01234567", f"sha256:{'0123456789' * 6}abcd")


def test_a_hub_reference_is_public() -> None:
    assert identity(ModelRef(ModelKind.HUGGINGFACE, "hf://org/name"), "llama", None) == ("name", "hf://org/name")
