"""Train `examples/tiny_gpt2`: a GPT-2 of 5 MB that writes like Python's documentation. Takes minutes on two cores.

    python -m examples.train_tiny_gpt2 [--output FOLDER] [--steps N]

Prints the perplexity per token on texts that were held out, beside that of a unigram model of the training texts, and
saves a KerasHub preset folder.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from examples import documentation
from examples.byte_level_bpe import Bpe, train

Ids = NDArray[np.int32]

VOCABULARY = 2048
LAYERS, HIDDEN, HEADS = 4, 128, 4
POSITIONS = 256
DROPOUT = 0.1
BATCH = 8
STEPS = 4500
# From the end of the warm-up the rate rises to the last one along half a cosine. Usual is that it falls; the model in
# this folder was trained so, and these figures make it again.
LEARNING_RATE, LAST_LEARNING_RATE = 3e-3, 12e-3
WARM_UP_STEPS = 200
HELD_OUT_SHARE = 25  # one text of so many
SEED = 7
PROMPTS = ("The list type", "Return a new", "If the file does not exist", "A class is", "The value of the argument")


@dataclass(frozen=True)
class Corpus:
    """Both parts as one row of tokens each, an end token after every text."""

    training: Ids
    held_out: Ids


def main() -> None:
    """Train, measure, save, show."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "tiny_gpt2")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(SEED)

    texts = documentation.documents()
    bpe = train(part(texts, held_out=False), VOCABULARY)
    corpus = Corpus(tokens(bpe, part(texts, held_out=False)), tokens(bpe, part(texts, held_out=True)))
    print(f"{len(texts)} texts, {corpus.training.size} training tokens, {corpus.held_out.size} held out")

    model = _model(bpe)
    _fit(model, bpe, corpus, arguments.steps)
    baseline = math.exp(unigram_loss(corpus.training, corpus.held_out, len(bpe.vocabulary)))
    print(
        f"held-out perplexity per token: {math.exp(mean_loss(model, bpe, corpus.held_out)):.1f}, unigram {baseline:.1f}"
    )

    model.save_to_preset(str(arguments.output))
    size = sum(path.stat().st_size for path in arguments.output.rglob("*") if path.is_file())
    print(f"saved {arguments.output}: {size / 1e6:.1f} MB, {model.count_params() / 1e6:.2f} million parameters")
    model.compile(sampler="greedy")
    for prompt in PROMPTS:
        print("*", model.generate(prompt, max_length=64))


def part(texts: list[str], *, held_out: bool) -> list[str]:
    """The texts to learn from, or those kept apart."""
    return [text for index, text in enumerate(texts) if (index % HELD_OUT_SHARE == 0) == held_out]


def tokens(bpe: Bpe, texts: list[str]) -> Ids:
    """All texts as one row, an end token after each."""
    rows = [[*encoding.ids, bpe.end_token] for encoding in bpe.tokenizer().encode_batch(texts)]
    return np.concatenate([np.array(row, np.int32) for row in rows])


def _model(bpe: Bpe) -> keras_hub.models.GPT2CausalLM:
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary=bpe.vocabulary, merges=bpe.merges)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=len(bpe.vocabulary),
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=HIDDEN,
        intermediate_dim=4 * HIDDEN,
        dropout=DROPOUT,
        max_sequence_length=POSITIONS,
    )
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=POSITIONS)
    # KerasHub draws kernels with GPT-2's deviation of 0.02, made for 768 wide layers; narrow ones want more.
    for weight in backbone.trainable_variables:
        if weight.path.endswith("kernel"):
            weight.assign(weight.value * (HIDDEN**-0.5 / 0.02))
    return keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)


def _fit(model: keras_hub.models.GPT2CausalLM, bpe: Bpe, corpus: Corpus, steps: int) -> None:
    """AdamW on windows at random places. As in generation, every window begins with the end token."""
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / WARM_UP_STEPS,
        steps,
        alpha=LAST_LEARNING_RATE / LEARNING_RATE,
        warmup_target=LEARNING_RATE,
        warmup_steps=WARM_UP_STEPS,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.05, beta_2=0.98, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    optimizer.build(model.trainable_variables)
    variables = model.trainable_variables

    @tf.function(jit_compile=True)
    def step(windows: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(_inputs(windows), training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(windows[:, 1:], logits)
            loss = tf.reduce_mean(losses)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    started = time.monotonic()
    recent = []
    for number, windows in enumerate(_random_windows(corpus.training, bpe.end_token, steps), start=1):
        recent.append(step(tf.constant(windows)))
        if number % 400 == 0 or number == steps:
            mean = float(tf.reduce_mean(tf.stack(recent)))
            held_out = mean_loss(model, bpe, corpus.held_out)
            seconds = time.monotonic() - started
            print(f"step {number}: loss {mean:.3f}, held out {held_out:.3f}, {seconds:.0f} s", flush=True)
            recent = []


def _random_windows(tokens: Ids, end_token: int, count: int) -> Iterator[Ids]:
    """`count` batches int32 [BATCH, POSITIONS + 1]."""
    generator = np.random.default_rng(SEED)
    for _ in range(count):
        starts = generator.integers(0, tokens.size - POSITIONS, size=BATCH)
        yield np.stack([np.append(np.int32(end_token), tokens[start : start + POSITIONS]) for start in starts])


def _inputs(windows: tf.Tensor) -> dict[str, tf.Tensor]:
    ids = windows[:, :-1]
    return {"token_ids": ids, "padding_mask": tf.ones_like(ids)}


def mean_loss(model: keras_hub.models.GPT2CausalLM, bpe: Bpe, tokens: Ids) -> float:
    """Mean nats per token over all whole windows, each begun with the end token."""
    rows = tokens[: tokens.size // POSITIONS * POSITIONS].reshape(-1, POSITIONS)
    windows = np.concatenate([np.full((len(rows), 1), bpe.end_token, np.int32), rows], axis=1)
    total = 0.0
    for start in range(0, len(windows), BATCH):
        batch = tf.constant(windows[start : start + BATCH])
        logits = model(_inputs(batch), training=False)
        total += float(tf.reduce_sum(tf.nn.sparse_softmax_cross_entropy_with_logits(batch[:, 1:], logits)))
    return total / rows.size


def unigram_loss(training: Ids, held_out: Ids, size: int) -> float:
    """Mean nats per held-out token under the tokens' frequencies in the training texts, each counted once more."""
    counts = np.bincount(training, minlength=size) + 1.0
    return float(-np.log(counts / counts.sum())[held_out].mean())


if __name__ == "__main__":
    main()
