"""Chat templates of published models as pieces: their tokens, and the farm's own table beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from farm import recipes
from farm.chat import Chat
from pipeline.chat import families
from pipeline.chat.conversations import messages, random_conversations
from pipeline.chat.extraction import extract
from pipeline.chat.reading import read_chat
from pipeline.chat.rendering import Renderer, TemplateText
from pipeline.chat.sources import FoundTemplate, find_template
from pipeline.inference.interpreter import read_sizes
from pipeline.litert_lm import container, metadata, runtime, signatures, template
from pipeline.litert_lm.child import Asked
from pipeline.tokenizers import document
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures import dynamic_graphs, real_tokenizers

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


# Llama 3.1's is Llama 3's to LiteRT-LM.
@pytest.mark.parametrize("published", ["gemma3", "llama3", "qwen3"], indirect=True)
def test_litert_lm_reads_it_alike(published: tuple[str, FoundTemplate, Path], tmp_path: Path) -> None:
    _, found, tokenizer = published
    content = document.write(json.loads(tokenizer.read_bytes())).content
    codec = TextCodec(content, "published")
    chat, _ = read_chat(found, codec)
    spelled = {id: text for text, id in codec.ids.items()}
    stop = next(piece for piece in chat.assistant.after if isinstance(piece, int))
    start = chat.begin[0] if chat.begin and isinstance(chat.begin[0], int) else None
    written = template.write_template(chat, spelled.get, template.start_of(chat, start), [stop])
    model = dynamic_graphs.bind_graph("llama", tmp_path / "model.tflite")
    signatures.derive(model, read_sizes(model, 4096), tmp_path / "derived.tflite")
    path = tmp_path / "model.litertlm"
    sections = [
        container.metadata_section(metadata.encode(4096, start, [stop], written, thinking=chat.thinking is not None)),
        container.tokenizer_section(content),
        container.model_section(tmp_path / "derived.tflite"),
    ]
    container.write(path, sections, [])
    renderings = tuple(runtime.renderings(chat, codec))
    assert {turn.thinking for turn in renderings} == ({True, False} if chat.thinking else {False})
    asked = Asked(path=str(path), context=4096, threads=1, prompts=(), renderings=renderings)
    assert runtime.run(asked, recipes.find("none"), 1.0).template_fault == ""


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
