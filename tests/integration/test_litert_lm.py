"""The stage litert-lm on a small model that chats: LiteRT-LM itself runs the file, template and all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from farm import digests
from farm.artifacts import ArtifactName
from farm.chat import Chat, Exchange
from farm.errors import QualityMissed
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.recipes import WeightFormat
from farm.stages import StageName
from pipeline.conversion.binding import bind
from pipeline.inference.archive import open_language_model
from pipeline.inference.interpreter import TokenModel, read_sizes
from pipeline.litert_lm import runtime
from pipeline.request import StageRequest, StageResult
from pipeline.stages import litert_lm
from pipeline.tokenizers.codec import TextCodec
from tests.fixtures import bound_models, dynamic_graphs, weightless_graphs
from tests.fixtures.bound_models import END_TOKEN, START_TOKEN, ArrayWeights
from tests.fixtures.chat_templates import IN_QUESTION, SIMPLE, chat_of
from tests.fixtures.weightless_graphs import LLAMA_LIKE

CONTEXT = 512
TOKENS = 12
QUESTIONS = ("one two", "and three?", "  what\n\nelse ")


def say_nothing(_share: float, _activity: str) -> None:
    return


def write_folder(folder: Path, chat: Chat | None, start: int | None = None) -> Path:
    """A job's files with random weights, of a model that likes to end its answers."""
    info = bound_models.write_model_folder(folder)
    weights = weightless_graphs.random_weights(LLAMA_LIKE, seed=5)
    # The end is likelier than by chance, and what is no printable letter is not.
    weights["head"][94:256] *= 0.1
    weights["head"][START_TOKEN] *= 0.1
    weights["head"][END_TOKEN] *= 2
    bind(LLAMA_LIKE.run_path, ArrayWeights(weights), WeightFormat.FLOAT32, folder / "model.tflite")
    sizes = {"layers": LLAMA_LIKE.layers, "kv_heads": LLAMA_LIKE.kv_heads, "head_dim": LLAMA_LIKE.head_dim}
    info = info.model_copy(
        update={
            **sizes, "family": "Llama", "context": CONTEXT, "prefill": (), "start_token": start, "chat": chat,
            "model_sha256": digests.of_file(folder / "model.tflite"),
        }
    )  # fmt: skip
    info.write(folder / "model-info.json")
    (folder / "golden.json").write_text(json.dumps(golden(folder, chat)))
    return folder


def write_windowed_folder(folder: Path) -> Path:
    """The same of a model whose first layer sees 5 tokens, with a tokenizer of printable letters."""
    info = bound_models.write_model_folder(folder)
    model = dynamic_graphs.bind_graph("gemma", folder / "model.tflite")
    sizes = read_sizes(model, CONTEXT)
    assert sizes.windows == (5, None)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())[: sizes.vocabulary_size - 1]
    tokenizer = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<|end|>"])
    tokenizer.save(str(folder / "tokenizer.json"))
    end = sizes.vocabulary_size - 1
    info.model_copy(
        update={
            "layers": sizes.layers, "kv_heads": sizes.kv_heads, "head_dim": sizes.head_dim, "context": CONTEXT,
            "vocabulary_size": sizes.vocabulary_size, "prefill": (), "start_token": None, "end_token": end,
            "stop_tokens": (end,), "model_sha256": digests.of_file(model),
            "tokenizer_sha256": digests.of_file(folder / "tokenizer.json"),
        }
    ).write(folder / "model-info.json")  # fmt: skip
    (folder / "golden.json").write_text(json.dumps(golden(folder, None, ("therain" * 9, "Once"))))
    return folder


def golden(folder: Path, chat: Chat | None, texts: Sequence[str] = ("the rain", "in 日本 ")) -> dict[str, Any]:
    """What verification would have left: these prompts, and a conversation of three turns."""
    model = open_language_model(folder)
    assert model.text is not None
    codec = model.text
    prompts = [written(model.tokens, model.prompt_tokens(text)) | {"text": text} for text in texts]
    turns: list[dict[str, Any]] = []
    exchanges: list[Exchange] = []
    for question in QUESTIONS if chat else ():
        assert chat is not None
        turn = written(model.tokens, codec.encode_pieces(chat.pieces(None, [*exchanges, Exchange(question)])))
        answer = codec.continue_text([token for token in turn["tokens"] if token != END_TOKEN])
        turns.append(turn | {"question": question, "answer": answer})
        exchanges.append(Exchange(question, answer))
    return {
        "prompts": [*prompts, *(turn | {"text": None} for turn in turns)],
        "conversations": [{"system": None, "thinking": False, "turns": turns}] if turns else [],
        "limits": {"near_tie_margin": 1e-3},
    }


def written(model: TokenModel, prompt: list[int]) -> dict[str, Any]:
    """Greedy tokens with margins, up to the end."""
    model.rewind()
    tokens: list[int] = []
    margins: list[float] = []
    logits = model.read(prompt)
    while len(tokens) < TOKENS:
        second, best = np.sort(logits)[-2:]
        tokens.append(int(logits.argmax()))
        margins.append(float(best - second))
        if tokens[-1] == END_TOKEN:
            break
        logits = model.step(tokens[-1])
    return {"prompt_tokens": prompt, "tokens": tokens, "margins": margins}


def run(folder: Path, work: Path) -> tuple[StageResult, Path]:
    """The stage's result, and the file."""
    for name in ("inputs", "outputs", "scratch"):
        (work / name).mkdir(parents=True)
    request = StageRequest(
        stage=StageName.LITERT_LM,
        spec=JobSpec(model_kind=ModelKind.FOLDER, model="tests", recipe="none"),
        workdir=work,
        caches=work,
        toolchain=work,
        keystore=None,
        threads=1,
    )
    for artifact in (ArtifactName.MODEL, ArtifactName.TOKENIZER, ArtifactName.MODEL_INFO, ArtifactName.GOLDEN):
        request.input(artifact).symlink_to((folder / artifact.value).resolve())
    return litert_lm.run(request, say_nothing), request.output(ArtifactName.LITERT_LM)


def figures(result: StageResult) -> dict[str, float]:
    return {metric.name: metric.value for metric in result.metrics}


@pytest.mark.parametrize(("template", "start"), [(SIMPLE, None), (IN_QUESTION, None), (IN_QUESTION, START_TOKEN)])
def test_a_golden_conversation_is_answered_token_for_token(template: str, start: int | None, tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "job", chat_of(template), start)
    result, path = run(folder, tmp_path / "work")
    found, known = figures(result), json.loads((folder / "golden.json").read_text())
    assert result.notes == ()
    assert found["litert_lm_turns"] == len(QUESTIONS)
    ended = [turn["tokens"][-1] == END_TOKEN for turn in known["conversations"][0]["turns"]]
    assert found["litert_lm_kept_turns"] == (ended.index(False) if False in ended else 3)
    assert ended[:2] == [True, True]
    assert found["litert_lm_ties"] == 0
    assert found["litert_lm_tokens"] >= 0.8 * sum(len(each["tokens"]) for each in known["prompts"])
    model, own = open_language_model(path), open_language_model(folder)
    assert "".join(model.complete("the rain", 8)) == "".join(own.complete("the rain", 8))


def test_windows_of_attention_are_kept(tmp_path: Path) -> None:
    folder = write_windowed_folder(tmp_path / "job")
    result, _ = run(folder, tmp_path / "work")
    found, known = figures(result), json.loads((folder / "golden.json").read_text())
    assert result.notes == ()
    assert found["litert_lm_tokens"] == sum(len(each["tokens"]) for each in known["prompts"]) > 6
    assert found["litert_lm_ties"] == 0


def test_another_token_is_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "job", chat_of(SIMPLE))
    known = json.loads((folder / "golden.json").read_text())
    turn = known["conversations"][0]["turns"][1]
    turn["tokens"][0] = TextCodec.open(folder / "tokenizer.json").encode("Q")[0]
    turn["margins"][0] = 1.0
    (folder / "golden.json").write_text(json.dumps(known))
    with pytest.raises(QualityMissed, match=r"does not follow the golden conversation: it writes .* where 'Q' comes"):
        run(folder, tmp_path / "work")


def test_a_template_that_reads_otherwise_is_left_out(tmp_path: Path) -> None:
    # The model reads this text as text, LiteRT-LM as the token that it spells.
    chat = chat_of(SIMPLE)
    odd = chat.model_copy(update={"user": chat.user.model_copy(update={"before": ("<|start|>",)})})
    result, path = run(write_folder(tmp_path / "job", odd), tmp_path / "work")
    assert len(result.notes) == 1
    assert "has no chat template, since LiteRT-LM renders the model's otherwise" in result.notes[0]
    assert figures(result)["litert_lm_turns"] == 0
    assert figures(result)["litert_lm_prompts"] == 2
    assert b"raise_exception" not in path.read_bytes()


def test_without_the_package_the_job_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "PACKAGE", "no_such_package")
    result, _ = run(write_folder(tmp_path / "job", chat_of(SIMPLE)), tmp_path / "work")
    assert "since the package litert-lm-api is not installed here" in result.notes[0]
    assert "the chat template was left out" in result.notes[0]
    assert figures(result)["litert_lm_signature_tokens"] >= 5
