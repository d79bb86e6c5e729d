"""A model that thinks, from a folder with Qwen 3's own tokenizer and template to a chat in the terminal."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from cli.main import app as farm_command
from examples import checkpoints
from farm.appspec import AppSpec
from farm.artifacts import ArtifactName
from farm.jobspec import JobSpec
from farm.modelref import ModelKind
from farm.stages import StageName
from pipeline.request import StageRequest
from pipeline.stages import convert
from tests.fixtures import kept_graphs, real_tokenizers

OPEN, CLOSE, END = 151667, 151668, 151645
LINE, LINES, WORD, ANSWER = 198, 271, 40, 59604
# What follows each token: a thought between its markers behind the line that asks for an answer, and the answer behind
# the empty line that closes a thought which the prompt itself leaves empty.
CHAIN = {LINE: OPEN, OPEN: WORD, WORD: CLOSE, CLOSE: LINES, LINES: ANSWER, ANSWER: END}
WIDTH, ROWS = 8, 151936
CONFIG = {
    "architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_act": "silu", "hidden_size": WIDTH,
    "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "num_key_value_heads": 1,
    "head_dim": WIDTH, "vocab_size": ROWS,
    "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 1e6, "rope_scaling": None,
    "tie_word_embeddings": False, "attention_bias": False, "use_sliding_window": False, "sliding_window": None,
    "bos_token_id": None, "eos_token_id": END, "pad_token_id": 151643, "torch_dtype": "float32",
}  # fmt: skip


@pytest.fixture(scope="module")
def thinker(request: pytest.FixtureRequest, graph_caches: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The converted model, which was asked to think."""
    assert request.config.cache is not None
    cache = request.config.cache.mkdir("real-tokenizers")
    workdir = tmp_path_factory.mktemp("thinking")
    for name in ("inputs", "outputs", "scratch"):
        (workdir / name).mkdir()
    spec = JobSpec(model_kind=ModelKind.FOLDER, model="thinker", app=AppSpec(thinking=True))
    stage = StageRequest(
        stage=StageName.CONVERT, spec=spec, workdir=workdir, caches=graph_caches, toolchain=workdir,
        keystore=None, threads=1,
    )  # fmt: skip
    source = stage.input(ArtifactName.SOURCE)
    source.mkdir()
    shutil.copyfile(real_tokenizers.fetch("qwen3", cache), source / "tokenizer.json")
    shutil.copyfile(real_tokenizers.fetch_config("qwen3", cache), source / "tokenizer_config.json")
    checkpoints.write_json(source / checkpoints.CONFIG, CONFIG)
    checkpoints.write_json(source / "generation_config.json", {"eos_token_id": [END, 151643], "pad_token_id": 151643})
    checkpoints.write_weights(source / checkpoints.WEIGHTS, weights())
    convert.run(stage, lambda _share, _activity: None)
    kept_graphs.keep(stage)
    return stage.output(ArtifactName.MODEL).parent


def weights() -> dict[str, np.ndarray]:
    """Each token says which one follows it; the layer adds nothing."""
    embedding, head = np.zeros((ROWS, WIDTH), np.float32), np.zeros((ROWS, WIDTH), np.float32)
    embedding[:, WIDTH - 1] = 1
    head[:, WIDTH - 1] = np.linspace(0, 1, ROWS)  # what any other token says
    for place, (token, following) in enumerate(CHAIN.items()):
        embedding[token] = np.eye(WIDTH, dtype=np.float32)[place]
        head[following, place] = 8
    nothing, one = np.zeros((WIDTH, WIDTH), np.float32), np.ones(WIDTH, np.float32)
    layer = "model.layers.0."
    linear = [f"self_attn.{name}_proj" for name in "qkvo"] + [f"mlp.{name}_proj" for name in ("gate", "up", "down")]
    norms = ["input_layernorm", "post_attention_layernorm", "self_attn.q_norm", "self_attn.k_norm"]
    return {
        "model.embed_tokens.weight": embedding, "lm_head.weight": head, "model.norm.weight": one,
        **{f"{layer}{name}.weight": nothing for name in linear}, **{f"{layer}{name}.weight": one for name in norms},
    }  # fmt: skip


def converse(folder: Path, *words: str) -> tuple[list[tuple[str, str | None]], str]:
    """Answers and thoughts of a chat in which two questions are asked, and how many tokens all that is."""
    command = ["chat", str(folder), "--json", *words]
    ran = CliRunner().invoke(farm_command, command, input="What is it?\nAnd then?\n/stats\n")
    assert ran.exit_code == 0, ran.output
    (size,) = (line for line in ran.stderr.splitlines() if "tokens in 2 turns" in line)
    return [(turn["answer"], turn["thought"]) for turn in json.loads(ran.stdout)["turns"]], size


def test_it_thinks_as_it_was_converted_to_and_not_where_that_is_turned_off(thinker: Path) -> None:
    chat = json.loads((thinker / ArtifactName.MODEL_INFO).read_text())["chat"]
    assert chat["thinking"]["wanted"]
    assert (chat["thinking"]["open_token"], chat["thinking"]["close_token"]) == (OPEN, CLOSE)
    thought, plain = converse(thinker), converse(thinker, "--no-thinking")
    assert thought[0] == [("Paris", "I")] * 2
    assert plain[0] == [("Paris", None)] * 2
    # Thoughts are no part of the history.
    assert thought[1] == plain[1]
