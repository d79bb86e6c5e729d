"""The `strings` mode with a portable tokenizer: a string in, a string out, as the runbook's app calls a model.

It is the I/O mode `bytes`'s graph between four TensorFlow operators that turn strings into bytes and back. Signature
`serving_default` takes `prompt` (a scalar or one element) and gives `output_0`, the prompt and the likeliest answer;
`generate` takes the settings of sampling as well and gives the tokens; `tokenize` gives the prompt's tokens. The tokens
I/O mode's signatures are in the file too: they have no Flex operator, so that any runtime can measure logits through
them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipeline.conversion import graph
from pipeline.conversion.decoder import Tensors
from pipeline.conversion.generation import Answer, answer, tokenize
from pipeline.conversion.graph import WEIGHT_PREFIX
from pipeline.conversion.io_modes.first_graph import make_default_subgraph
from pipeline.conversion.sampling import Sampling, start_random
from pipeline.conversion.text_model import Request, TextModel

GENERATE_DEFAULT = "serving_default"
GENERATE = "generate"
TOKENIZE = "tokenize"

# All of them are in the Flex AAR that is published for Android.
FLEX_OPERATORS = frozenset({"FlexDecodePaddedRaw", "FlexReduceJoin", "FlexStringJoin", "FlexStringLength"})
OPERATORS = (tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS)

EVERY_BYTE = np.array([bytes([value]) for value in range(256)], object)


def convert(model: TextModel) -> bytes:
    """The weightless graph as a `.tflite` file's content."""
    signatures = {GENERATE_DEFAULT: _generate_default(model), GENERATE: _generate(model), TOKENIZE: _tokenize(model)}
    signatures |= {graph.RUN: graph.run_signature(model.description)}
    # The runbook's app does not ask for a signature.
    return make_default_subgraph(graph.convert_signatures(signatures, OPERATORS), GENERATE_DEFAULT)


def _prompt_spec() -> tf.TensorSpec:
    return tf.TensorSpec([], tf.string, name="prompt")


def _tokenize(model: TextModel) -> tf.function:
    def call(prompt: tf.Tensor) -> dict[str, tf.Tensor]:
        _, content, length = _as_bytes(model, prompt)
        tokens, count = tokenize(model, content, length)
        return {"tokens": tokens[None], "token_count": count[None]}

    return tf.function(call, input_signature=[_prompt_spec()], autograph=False)


def _generate_default(model: TextModel) -> tf.function:
    def call(prompt: tf.Tensor, *weights: tf.Tensor) -> dict[str, tf.Tensor]:
        greedy = Sampling(tf.constant(0.0), tf.constant(1))
        limit = tf.constant(model.output_tokens)
        text, _ = _write_on(model, _named(model, weights), prompt, limit, greedy, tf.constant(1))
        return {"output_0": text}

    return tf.function(call, input_signature=[_prompt_spec(), *_weight_specs(model)], autograph=False)


def _generate(model: TextModel) -> tf.function:
    specs = [
        _prompt_spec(),
        tf.TensorSpec([1], tf.int32, name="max_new_tokens"),
        tf.TensorSpec([1], tf.float32, name="temperature"),
        tf.TensorSpec([1], tf.int32, name="top_k"),
        tf.TensorSpec([1], tf.int32, name="seed"),
    ]

    def call(
        prompt: tf.Tensor,
        max_new_tokens: tf.Tensor,
        temperature: tf.Tensor,
        top_k: tf.Tensor,
        seed: tf.Tensor,
        *weights: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        sampling = Sampling(temperature[0], top_k[0])
        text, found = _write_on(
            model, _named(model, weights), prompt, max_new_tokens[0], sampling, start_random(seed[0])
        )
        return {
            "output_0": text,
            "tokens": found.tokens[None],
            "prompt_tokens": found.prompt_tokens[None],
            "new_tokens": found.new_tokens[None],
        }

    return tf.function(call, input_signature=[*specs, *_weight_specs(model)], autograph=False)


def _write_on(
    model: TextModel, weights: Tensors, prompt: tf.Tensor, limit: tf.Tensor, sampling: Sampling, state: tf.Tensor
) -> tuple[tf.Tensor, Answer]:
    """The prompt as it was with the answer behind it, a scalar string, and the answer itself."""
    text, content, length = _as_bytes(model, prompt)
    found = answer(model, weights, Request(content, length, limit, sampling, state))
    letters = tf.gather(tf.constant(EVERY_BYTE, tf.string), found.text[: found.text_length])
    return tf.strings.join([text, tf.strings.reduce_join(letters)]), found


def _as_bytes(model: TextModel, prompt: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """The prompt as a scalar, its first `prompt_bytes` bytes int32, and how many bytes it has."""
    # A caller may give one element in place of a scalar.
    one = tf.reshape(prompt, [1])
    content = tf.io.decode_raw(one, tf.uint8, fixed_length=model.prompt_bytes)
    length = tf.reshape(tf.strings.length(one), [])
    return tf.reshape(one, []), tf.cast(tf.reshape(content, [model.prompt_bytes]), tf.int32), length


def _weight_specs(model: TextModel) -> list[tf.TensorSpec]:
    shapes = model.description.weight_shapes()
    return [tf.TensorSpec(shape, tf.float32, name=WEIGHT_PREFIX + name) for name, shape in shapes.items()]


def _named(model: TextModel, weights: Sequence[tf.Tensor]) -> Tensors:
    return dict(zip(model.description.weight_shapes(), weights, strict=True))
