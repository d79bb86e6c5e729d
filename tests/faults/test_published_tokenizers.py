"""T1: random texts read by published tokenizers in the farm's spelling, here and in the app, against the files as
published."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from farm import locations, settings
from pipeline.android import token_table
from pipeline.android.base import AppSources
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.tokenizers import document
from pipeline.tokenizers.codec import TextCodec
from pipeline.toolchain import maven
from tests.fixtures import real_tokenizers
from tests.fixtures.host_driver import HostDriver, compile_driver
from tests.trial import Trial

FOLDER = locations.ROOT / ".pytest_cache/d/real-tokenizers"
CLASSES = AppSources().library / "assets" / "unicode-classes.bin"
MOST_SYMBOLS = 200
# The short form's; tests/integration/test_published_tokenizers.py reads texts with all of them.
FEW = ("llama2", "qwen3")


@pytest.mark.goal(id="T1")
def test_random_texts_get_the_published_ids(trial: Trial, tmp_path: Path) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    names = [*real_tokenizers.PACKAGES] if trial.full else FEW
    count, wrong = trial.size(300, 100_000 // len(real_tokenizers.PACKAGES)), 0
    # The short form leaves the app to tests/integration/test_tokenizer_parity.py, which has it compiled.
    app = HostDriver(compile_driver(maven.at(settings.load().toolchain), tmp_path)) if trial.full else None
    for name in names:
        content = real_tokenizers.fetch(name, FOLDER).read_bytes()
        value = json.loads(content)
        added = [token["content"] for token in value["added_tokens"]]
        symbols = added[:: max(1, len(added) // MOST_SYMBOLS)]
        written = document.write(value).content
        reference, codec = Tokenizer.from_buffer(content), TextCodec(written, name)
        if app is not None:
            (tmp_path / "tokenizer.bin").write_bytes(token_table.token_table(written))
            table = str(tmp_path / "tokenizer.bin")
            opened = app.ask(cmd="open", table=table, unicode_classes=str(CLASSES), reads_special=True)
            assert "error" not in opened, opened
        for text in mixed_texts(count, 500, seed=trial.seed, further=symbols):
            ids = reference.encode(text, add_special_tokens=False).ids
            wrong += codec.encode(text) != ids
            if app is not None:
                wrong += app.ask(cmd="tokenize", text=text)["ids"] != ids
                wrong += app.ask(cmd="detokenize", ids=ids)["text"] != reference.decode(ids)
    where = ", here and in the app" if app is not None and app.quit() == 0 else ""
    trial.measured(f"{count * len(names):,} texts by {len(names)} tokenizers{where}: {wrong} read otherwise")
    assert wrong == 0
