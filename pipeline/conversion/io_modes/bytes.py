"""The `bytes` mode: UTF-8 in, UTF-8 out, with TFLite's built-in operators only.

Signature `serving_default` takes the prompt and gives prompt and answer, `tokenize` only the prompt's tokens. The
`tokens` mode's `run` is in the file as well, on the same weights: it costs next to nothing, a program that wants each
token can use it, and verification measures logits through it.
"""

from __future__ import annotations

import tensorflow as tf

from pipeline.conversion import graph
from pipeline.conversion.generation import answer, join, tokenize
from pipeline.conversion.graph import WEIGHT_PREFIX
from pipeline.conversion.sampling import Sampling, start_random
from pipeline.conversion.text_model import Request, TextModel

GENERATE = "serving_default"
TOKENIZE = "tokenize"


def convert(model: TextModel) -> bytes:
    """The weightless graph as a `.tflite` file's content."""
    signatures = {graph.RUN: graph.run_signature(model.description)}
    signatures |= {GENERATE: _generate(model), TOKENIZE: _tokenize(model)}
    return graph.convert_signatures(signatures)


def _prompt_specs(model: TextModel) -> list[tf.TensorSpec]:
    return [
        tf.TensorSpec([1, model.prompt_bytes], tf.uint8, name="prompt"),
        tf.TensorSpec([1], tf.int32, name="prompt_length"),
    ]


def _tokenize(model: TextModel) -> tf.function:
    def call(prompt: tf.Tensor, prompt_length: tf.Tensor) -> dict[str, tf.Tensor]:
        tokens, count = tokenize(model, tf.cast(prompt[0], tf.int32), prompt_length[0])
        return {"tokens": tokens[None], "token_count": count[None]}

    return tf.function(call, input_signature=_prompt_specs(model), autograph=False)


def _generate(model: TextModel) -> tf.function:
    shapes = model.description.weight_shapes()
    specs = _prompt_specs(model)
    specs += [
        tf.TensorSpec([1], tf.int32, name="max_new_tokens"),
        tf.TensorSpec([1], tf.float32, name="temperature"),
        tf.TensorSpec([1], tf.int32, name="top_k"),
        tf.TensorSpec([1], tf.int32, name="seed"),
    ]
    specs += [tf.TensorSpec(shape, tf.float32, name=WEIGHT_PREFIX + name) for name, shape in shapes.items()]

    def call(
        prompt: tf.Tensor,
        prompt_length: tf.Tensor,
        max_new_tokens: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        seed: tf.Tensor,
        *weights: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        request = Request(
            prompt=tf.cast(prompt[0], tf.int32),
            length=prompt_length[0],
            limit=max_new_tokens[0],
            sampling=Sampling(temperature[0], top_k[0]),
            state=start_random(seed[0]),
        )
        found = answer(model, dict(zip(shapes, weights, strict=True)), request)
        text, text_length = join(model, request, found)
        return {
            "text": tf.cast(text, tf.uint8)[None],
            "text_length": text_length[None],
            "tokens": found.tokens[None],
            "prompt_tokens": found.prompt_tokens[None],
            "new_tokens": found.new_tokens[None],
        }

    return tf.function(call, input_signature=specs, autograph=False)
