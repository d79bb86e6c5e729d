"""KerasHub's own graph from a string to a string, as the runbook converts it: its tokenizer, its loop, its detokenizer.

`generate()` itself does not trace under Keras 3; what it is made of does. The file needs TensorFlow's and TF Text's
operators, and is run by an interpreter that has them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, assert_never

import keras
import tensorflow as tf

from farm.errors import RecipeNotRunnable
from farm.jobspec import ConversionRoute
from farm.recipes import WeightFormat

SIGNATURE = "serving_default"
# Operators that TensorFlow has outside of its own list for TFLite.
USER_OPERATORS = ("UnsortedSegmentJoin", "UpperBound")
Generate = Callable[[tf.Tensor], tf.Tensor]


def convert(
    causal_lm: Any,
    length: int,
    weight_format: WeightFormat,
    route: ConversionRoute,
    judge: Callable[[Iterator[str]], None] = lambda _ops: None,
) -> bytes:
    """A `.tflite` file's content whose `serving_default` takes `prompt`, a scalar or one-element string, and gives
    `output_0`, the prompt and the likeliest answer, `length` tokens together.

    judge: is given TensorFlow's ops before they are converted, where the route traces a function of its own.
    """
    causal_lm.compile(sampler="greedy")
    causal_lm.jit_compile = False
    generate = _generate(causal_lm, length)
    if route is ConversionRoute.KERAS_MODEL:
        return _run(tf.lite.TFLiteConverter.from_keras_model(_as_keras_model(causal_lm, generate)), weight_format)
    # The converter can't find the variables of a Keras 3 model, so that a module has to hold them.
    module = tf.Module()
    module.variables_of_model = [variable.value for variable in causal_lm.variables]
    module.tokenizer = causal_lm.preprocessor.tokenizer
    specs = [tf.TensorSpec([], tf.string, name="prompt")]
    module.generate = tf.function(lambda prompt: {"output_0": generate(prompt)}, input_signature=specs)
    concrete = module.generate.get_concrete_function()
    judge(traced_ops(concrete))
    if route is ConversionRoute.CONCRETE_FUNCTIONS:
        return _run(tf.lite.TFLiteConverter.from_concrete_functions([concrete], module), weight_format)
    with tempfile.TemporaryDirectory(prefix="graph-") as folder:
        saved_model = str(Path(folder) / "saved_model")
        tf.saved_model.save(module, saved_model, signatures={SIGNATURE: concrete})
        return _run(tf.lite.TFLiteConverter.from_saved_model(saved_model, signature_keys=[SIGNATURE]), weight_format)


def traced_ops(concrete: Any) -> Iterator[str]:
    """The names of all ops of a traced function and of the functions that it calls."""
    graph = concrete.graph.as_graph_def()
    yield from (node.op for node in graph.node)
    for function in graph.library.function:
        yield from (node.op for node in function.node_def)


def prepared_tokenizer(causal_lm: Any) -> Any:
    """The tokenizer with its tables made outside of any graph, since else they belong to the first that reads them."""
    tokenizer = causal_lm.preprocessor.tokenizer
    tokenizer._maybe_initialized_tf()
    return tokenizer


def _generate(causal_lm: Any, length: int) -> Generate:
    tokenizer = prepared_tokenizer(causal_lm)
    end = tokenizer.end_token_id

    def generate(prompt: tf.Tensor) -> tf.Tensor:
        padded = causal_lm.preprocessor.generate_preprocess(tf.reshape(prompt, [1]), sequence_length=length)
        outputs = causal_lm.generate_step(padded, stop_token_ids=(end,))
        kept = outputs["padding_mask"] & (outputs["token_ids"] != end)
        return tokenizer.detokenize(tf.ragged.boolean_mask(outputs["token_ids"], kept))

    return generate


def _as_keras_model(causal_lm: Any, generate: Generate) -> Any:
    prompt = keras.Input(batch_shape=(1,), dtype="string", name="prompt")
    return keras.Model(prompt, _Generator(causal_lm, generate)(prompt))


class _Generator(keras.layers.Layer):
    """The whole way as one layer, which knows the model's variables by holding the model."""

    def __init__(self, causal_lm: Any, generate: Generate) -> None:
        super().__init__()
        self.causal_lm = causal_lm
        self._generate = generate

    def call(self, prompt: tf.Tensor) -> tf.Tensor:
        """The text."""
        return self._generate(prompt)

    def compute_output_spec(self, _prompt: Any) -> Any:
        """One string."""
        return keras.KerasTensor((1,), dtype="string")


def _run(converter: Any, weight_format: WeightFormat) -> bytes:
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS, tf.lite.OpsSet.SELECT_TF_OPS]
    converter.target_spec.experimental_select_user_tf_ops = list(USER_OPERATORS)
    converter.allow_custom_ops = True
    converter._experimental_guarantee_all_funcs_one_use = True
    match weight_format:
        case WeightFormat.FLOAT32:
            pass
        case WeightFormat.FLOAT16:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            converter.target_spec.supported_types = [tf.float16]
        case WeightFormat.INT8_PER_TENSOR:
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
            # Runtimes before 2.17 know no scale a row.
            converter._experimental_disable_per_channel_quantization_for_dense_layers = True
        case WeightFormat.INT8_PER_ROW | WeightFormat.INT4_PER_ROW | WeightFormat.INT4_BLOCKS_OF_32:
            raise RecipeNotRunnable(
                f"KerasHub's own graph can't be stored as {weight_format}; choose another recipe, or the tokenizer"
                " graph portable."
            )
        case _:
            assert_never(weight_format)
    return bytes(converter.convert())
