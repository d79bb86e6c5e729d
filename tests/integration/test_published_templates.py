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
from tests.fixtures import dynamic_graphs, published_templates, real_tokenizers

# Each with the row of the farm's table for its family.
ROWS = {"gemma3": "Gemma3", "llama3": "Llama3", "llama3_1": "Llama3", "qwen3": "Qwen3"}
# Of these a list of models has the template alone: its name there, the family, a preset of KerasHub.
LISTED = (
    ("gemma-it", "Gemma", "gemma_instruct_2b_en"),
    ("gemma-2-it", "Gemma", "gemma2_instruct_2b_en"),
    ("llama-2-chat", "Llama", "llama2_instruct_7b_en"),
    ("qwen2.5-instruct", "Qwen", "qwen2.5_instruct_0.5b_en"),
    ("phi-3-mini-4k-instruct", "Phi3", "phi3_mini_4k_instruct_en"),
    ("mistral-instruct-v0.3", "Mistral", "mistral_0.3_instruct_7b_en"),
)


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
    stop = next(piece for piece in chat.assistant.after if isinstance(piece, int))
    start = chat.begin[0] if chat.begin and isinstance(chat.begin[0], int) else None
    written = template.write_template(chat, codec.spelling, template.start_of(chat, start), [stop])
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
    require_equal(TemplateText(row.template), found.template)


@pytest.mark.parametrize(("listed", "family", "preset"), LISTED)
def test_the_table_has_what_is_listed(request: pytest.FixtureRequest, listed: str, family: str, preset: str) -> None:
    assert request.config.cache is not None
    template = published_templates.fetch(listed, request.config.cache.mkdir("real-tokenizers"))
    row = families.find_row(family, preset, asked=False)
    assert row is not None
    require_equal(TemplateText(row.template), TemplateText(template, {"bos_token": "<bos>", "eos_token": "</s>"}))


def require_equal(table: TemplateText, published: TemplateText) -> None:
    """Both say the same in 50 random conversations, and take a system text and thoughts or don't."""
    own, theirs = extract(table, ""), extract(published, "")

    def said(chat: Chat) -> list[str]:
        return [
            "".join(map(str, chat.pieces(system, exchanges)))
            for system, exchanges in random_conversations(50, system=chat.system is not None)
        ]

    assert said(own.chat) == said(theirs.chat)
    assert own.thinking == theirs.thinking
