"""Chat templates of published models as pieces: their tokens, and the farm's own table beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from farm.chat import Chat
from pipeline.chat import families
from pipeline.chat.conversations import messages, random_conversations
from pipeline.chat.extraction import extract
from pipeline.chat.reading import read_chat
from pipeline.chat.rendering import Renderer, TemplateText
from pipeline.chat.sources import FoundTemplate, find_template
from pipeline.tokenizers import document
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures import real_tokenizers

# Each with the row of the farm's table for its family.
ROWS = {"gemma3": "Gemma3", "llama3": "Llama3", "llama3_1": "Llama3", "qwen3": "Qwen3"}


@pytest.fixture(scope="module", params=ROWS)
def published(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, FoundTemplate, Path]:
    """A published template, and the file of its tokenizer."""
    assert request.config.cache is not None
    cache = request.config.cache.mkdir("real-tokenizers")
    folder = tmp_path_factory.mktemp(request.param)
    (folder / "tokenizer_config.json").write_bytes(real_tokenizers.fetch_config(request.param, cache).read_bytes())
    found = find_template(folder, None, None)
    assert found is not None
    return request.param, found, real_tokenizers.fetch(request.param, cache)


def test_its_pieces_have_the_tokens_of_the_whole_rendering(published: tuple[str, FoundTemplate, Path]) -> None:
    _, found, tokenizer = published
    codec = TextCodec(document.write(json.loads(tokenizer.read_bytes())).content, "published")
    chat, notes = read_chat(found, codec)
    assert notes == ()
    renderer = Renderer(found.template)
    for thinking in (False, True) if chat.thinking else (False,):
        for system, exchanges in random_conversations(50, system=chat.system is not None, seed=7):
            rendered = renderer.render(messages(system, exchanges), thinking=thinking)
            assert codec.encode_pieces(chat.pieces(system, exchanges, thinking=thinking)) == codec.encode(rendered)


def test_the_table_has_the_same(published: tuple[str, FoundTemplate, Path]) -> None:
    name, found, _ = published
    row = next(row for row in families.ROWS if row.family == ROWS[name])
    own, theirs = extract(TemplateText(row.template), ""), extract(found.template, "")

    def said(chat: Chat) -> list[str]:
        return [
            "".join(map(str, chat.pieces(system, exchanges)))
            for system, exchanges in random_conversations(50, system=chat.system is not None)
        ]

    assert said(own.chat) == said(theirs.chat)
    assert own.thinking == theirs.thinking
