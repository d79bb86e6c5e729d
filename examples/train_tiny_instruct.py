"""Tune `examples/tiny_gpt2` into `examples/tiny_instruct`, which answers questions about Python in a sentence.

    nice .venv/bin/python -m examples.train_tiny_instruct [--output FOLDER] [--steps N]

Prints how it does on questions that were held out, beside the model that it was made of: the share of answers that are
right word for word, the words that answers have in common, and the perplexity per token of the right answers. Takes
minutes on two cores.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import math
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from examples import documentation, questions, train_tiny_gpt2
from examples.questions import Question

Ids = NDArray[np.int32]

BASE = Path(__file__).parent / "tiny_gpt2"
LENGTH = 52  # tokens of question and answer; longer ones are left out
BATCH = 24
PROSE = 4  # of a batch's rows: without them the model would forget how to go on with any other text
STEPS = 1500
ASKED = 100  # held-out questions that are answered to measure; the perplexity is that of all
LEARNING_RATE = 3e-3
WARM_UP_STEPS = 100
SEED = 11
LICENCE = "Python Software Foundation License Version 2, as its texts"
# What an app offers to ask.
PROMPTS = ("What does str.upper do?", "Explain os.path.join.", "What is math.sqrt for?", "Tell me about len.")


@dataclass(frozen=True)
class Rows:
    """Questions with their answers as tokens: `tokens` int32 [n, LENGTH + 1], the start token first; `weights` float32
    [n, LENGTH], 1 where the next token belongs to an answer or ends it."""

    tokens: Ids
    weights: NDArray[np.float32]


@dataclass(frozen=True)
class Score:
    """exact: share of answers right word for word. overlap: mean F1 of the words. perplexity: of the right answers."""

    exact: float
    overlap: float
    perplexity: float

    def __str__(self) -> str:
        return (
            f"{100 * self.exact:.1f} % right word for word, {100 * self.overlap:.1f} % of the words,"
            f" perplexity {self.perplexity:.2f}"
        )


def main() -> None:
    """Train, measure, save, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(__file__).parent / "tiny_instruct")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(arguments.threads)
    keras.utils.set_random_seed(SEED)

    model = load(BASE)
    subjects = questions.subjects()
    training, held_out = (questions.questions(subjects, held_out=part) for part in (False, True))
    print(f"{len(subjects)} subjects, {len(training)} questions to learn from, {len(held_out)} held out")
    before = score(model, held_out)
    _fit(model, rows(model, training), prose(model), arguments.steps)
    print(f"held out: {score(model, held_out)}")
    print(f"tiny_gpt2, of which it was made: {before}")

    save(model, arguments.output)
    size = sum(path.stat().st_size for path in arguments.output.rglob("*") if path.is_file())
    print(f"saved {arguments.output}: {size / 1e6:.1f} MB")
    for prompt, answer in zip(PROMPTS, answers(model, PROMPTS), strict=True):
        print("*", prompt, answer)


def load(folder: Path) -> keras_hub.models.GPT2CausalLM:
    """A preset, which will answer with the likeliest token each time."""
    model = keras_hub.models.CausalLM.from_preset(str(folder))
    model.compile(sampler="greedy")
    return model


def save(model: keras_hub.models.GPT2CausalLM, folder: Path) -> None:
    """Write the preset; its metadata tell the farm that it answers questions, and in which form it wants them."""
    shutil.rmtree(folder, ignore_errors=True)
    model.save_to_preset(str(folder))
    path = folder / "metadata.json"
    metadata = json.loads(path.read_text())
    metadata["farm"] = {
        "mode": "instruct",
        "prompt_template": questions.TEMPLATE,
        "prompts": list(PROMPTS),
        "licence": LICENCE,
    }
    path.write_text(json.dumps(metadata, indent=4))


def rows(model: keras_hub.models.GPT2CausalLM, asked: Sequence[Question]) -> Rows:
    """The questions that fit, each with its answer and the end token."""
    tokenizer = model.preprocessor.tokenizer
    prompts = tokenizer([question.prompt for question in asked])
    replies = tokenizer([f" {question.answer}" for question in asked])
    tokens, weights = [], []
    for prompt, reply in zip(prompts, replies, strict=True):
        prompt, reply = [tokenizer.end_token_id, *map(int, prompt)], [*map(int, reply), tokenizer.end_token_id]
        padding = LENGTH + 1 - len(prompt) - len(reply)
        if padding >= 0:
            tokens.append(prompt + reply + [tokenizer.end_token_id] * padding)
            weights.append([0.0] * (len(prompt) - 1) + [1.0] * len(reply) + [0.0] * padding)
    return Rows(np.array(tokens, np.int32), np.array(weights, np.float32))


def prose(model: keras_hub.models.GPT2CausalLM) -> Rows:
    """The texts that `tiny_gpt2` learned from, cut into rows."""
    tokenizer = model.preprocessor.tokenizer
    texts = train_tiny_gpt2.part(documentation.documents(), held_out=False)
    ids = np.concatenate([np.array([*map(int, text), tokenizer.end_token_id], np.int32) for text in tokenizer(texts)])
    whole = ids[: ids.size // LENGTH * LENGTH].reshape(-1, LENGTH)
    starts = np.full((len(whole), 1), tokenizer.end_token_id, np.int32)
    return Rows(np.concatenate([starts, whole], axis=1), np.ones(whole.shape, np.float32))


def answers(model: keras_hub.models.GPT2CausalLM, asked: Sequence[str]) -> list[str]:
    """What the model says to each question."""
    prompts = [questions.TEMPLATE.format(prompt=text) for text in asked]
    texts = model.generate(prompts, max_length=LENGTH)
    return [text[len(prompt) :].strip() for prompt, text in zip(prompts, texts, strict=True)]


def score(model: keras_hub.models.GPT2CausalLM, asked: Sequence[Question]) -> Score:
    """How the model does on questions whose answers are known."""
    some = asked[:: max(1, len(asked) // ASKED)]
    given = answers(model, [question.text for question in some])
    pairs = [(answer, question.answer) for answer, question in zip(given, some, strict=True)]
    return Score(
        exact=float(np.mean([answer == right for answer, right in pairs])),
        overlap=float(np.mean([overlap(answer, right) for answer, right in pairs])),
        perplexity=math.exp(mean_loss(model, rows(model, asked))),
    )


def overlap(answer: str, right: str) -> float:
    """F1 of the words of two texts: 1 for the same words, 0 for none in common."""
    found, wanted = Counter(answer.split()), Counter(right.split())
    common = (found & wanted).total()
    return 2 * common / (found.total() + wanted.total()) if common else 0.0


def mean_loss(model: keras_hub.models.GPT2CausalLM, of: Rows) -> float:
    """Mean nats per token of the answers."""
    total = 0.0
    for start in range(0, len(of.tokens), BATCH):
        part = slice(start, start + BATCH)
        losses = _losses(model, tf.constant(of.tokens[part]), tf.constant(of.weights[part]), training=False)
        total += float(tf.reduce_sum(losses))
    return total / float(of.weights.sum())


def _fit(model: keras_hub.models.GPT2CausalLM, of: Rows, beside: Rows, steps: int) -> None:
    # What is to be learned are facts, each in a few wordings: there is nothing that dropout could make more general.
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    schedule = keras.optimizers.schedules.CosineDecay(
        LEARNING_RATE / WARM_UP_STEPS,
        steps,
        alpha=0.02,
        warmup_target=LEARNING_RATE,
        warmup_steps=WARM_UP_STEPS,
    )
    optimizer = keras.optimizers.AdamW(schedule, weight_decay=0.05, beta_2=0.98, global_clipnorm=1.0)
    optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function(jit_compile=True)
    def step(tokens: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(_losses(model, tokens, weights, training=True)) / tf.reduce_sum(weights)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    started = time.monotonic()
    recent = []
    pairs = zip(_random_rows(len(of.tokens), BATCH - PROSE), _random_rows(len(beside.tokens), PROSE), strict=True)
    for number, (chosen, other) in zip(range(1, steps + 1), pairs, strict=False):
        tokens = np.concatenate([of.tokens[chosen], beside.tokens[other]])
        weights = np.concatenate([of.weights[chosen], beside.weights[other]])
        recent.append(step(tf.constant(tokens), tf.constant(weights)))
        if number % 100 == 0 or number == steps:
            mean = float(tf.reduce_mean(tf.stack(recent)))
            print(f"step {number}: loss {mean:.3f}, {time.monotonic() - started:.0f} s", flush=True)
            recent = []


def _random_rows(count: int, size: int) -> Iterator[Ids]:
    generator = np.random.default_rng(SEED)
    while True:
        yield generator.integers(0, count, size=size)


def _losses(
    model: keras_hub.models.GPT2CausalLM, tokens: tf.Tensor, weights: tf.Tensor, *, training: bool
) -> tf.Tensor:
    inputs = tokens[:, :-1]
    logits = model({"token_ids": inputs, "padding_mask": tf.ones_like(inputs)}, training=training)
    return weights * tf.nn.sparse_softmax_cross_entropy_with_logits(tokens[:, 1:], logits)


if __name__ == "__main__":
    main()
