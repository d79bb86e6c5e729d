"""A tokenizer kind that is added as docs/how-to/extend.md says reads in Python and in the app as the package does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from farm import locations
from tests.fixtures import farm_copy

KOTLIN = "android-builder/generation/src/main/kotlin/dev/kerasfarm/generation"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The farm's sources with the kind of the page."""
    root = farm_copy.make(tmp_path / "farm")
    kind, feature, ability, module, table, implementation, choice, name = farm_copy.blocks("Add a tokenizer kind")
    kinds, table_of_kinds = root / "farm/tokenizer_kinds.py", root / "pipeline/tokenizers/kinds.py"
    farm_copy.insert(kinds, '    SENTENCEPIECE_BPE = "sentencepiece-bpe"\n', kind)
    farm_copy.insert(kinds, '    SENTENCEPIECE = "SentencePiece BPE"\n', feature)
    row = ability.strip().removeprefix("{").removesuffix("}")
    farm_copy.insert(kinds, "    Feature.SENTENCEPIECE: OUTSIDE_OF_GRAPHS,\n", f"{row},\n")
    (root / "pipeline/tokenizers/word_level.py").write_text(module)
    farm_copy.replace(table_of_kinds, "KINDS: tuple[KindOfFile, ...] = (ByteLevelBpe(), SentencePieceBpe())\n", table)
    imported = "from pipeline.tokenizers.unusable import TokenizerUnusable\n"
    farm_copy.insert(table_of_kinds, imported, "from pipeline.tokenizers.word_level import WordLevel\n")
    (root / KOTLIN / "tokenizer/WordLevel.kt").write_text(implementation)
    bpe = "        SettingsReader.BPE -> if (settings.byteFallback) SentencePieceBpe(this) else ByteLevelBpe(this)\n"
    farm_copy.insert(root / KOTLIN / "tokenizer/TokenizerParts.kt", bpe, choice)
    farm_copy.replace(
        root / KOTLIN / "model/ModelInfo.kt", "setOf(BYTE_LEVEL_BPE, SENTENCEPIECE_BPE)",
        f"setOf(BYTE_LEVEL_BPE, SENTENCEPIECE_BPE, {name.strip()})",
    )  # fmt: skip
    return root


def test_the_kind_of_the_page_reads_as_the_package_does(copy: Path, kept_jars: Path, tmp_path: Path) -> None:
    program = copy / "tests" / "integration" / "added_kind.py"
    ran = subprocess.run(
        [sys.executable, program, locations.ROOT / ".toolchain", tmp_path, kept_jars],
        env={**os.environ, "PYTHONPATH": str(copy)}, cwd=copy, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-3000:]
    found = json.loads(ran.stdout)
    assert found == {"kind": "word-level", "app": [], "graph": ["word-level vocabulary"], "text": " def <unk>"}
