"""The three ways of KerasHub's graph through the converter, with a small stand-in for a model: same text from each."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from farm.jobspec import ConversionRoute
from farm.recipes import WeightFormat
from pipeline.conversion import keras_graph
from pipeline.conversion.io_modes.strings import EVERY_BYTE

LENGTH = 12
END = 255
pytestmark = pytest.mark.filterwarnings("ignore:.*tf.lite.Interpreter is deprecated:UserWarning")


class NextByte:
    """Stands in for a causal language model over bytes: behind the prompt it writes each byte's follower by a table."""

    def __init__(self) -> None:
        self.table = tf.Variable(np.roll(np.eye(256, dtype=np.float32), 1, 1))
        self.variables = [SimpleNamespace(value=self.table)]
        self.preprocessor = SimpleNamespace(tokenizer=self, generate_preprocess=self._read)
        self.end_token_id = END
        self.jit_compile = True
        self.sampler: str | None = None

    def compile(self, sampler: str) -> None:
        self.sampler = sampler

    def _maybe_initialized_tf(self) -> None:
        return

    def _read(self, prompt: tf.Tensor, sequence_length: int) -> dict[str, tf.Tensor]:
        tokens = tf.cast(tf.io.decode_raw(prompt, tf.uint8, fixed_length=sequence_length), tf.int32)
        return {"token_ids": tokens, "padding_mask": tokens > 0}

    def generate_step(self, padded: dict[str, tf.Tensor], stop_token_ids: tuple[int, ...]) -> dict[str, tf.Tensor]:
        assert stop_token_ids == (END,)
        tokens = padded["token_ids"]
        for place in range(1, LENGTH):
            row = tf.gather(self.table, tokens[:, place - 1])
            follower = tf.argmax(row, -1, output_type=tf.int32)
            here = tf.equal(np.arange(LENGTH, dtype=np.int32), place) & ~padded["padding_mask"][:, place, None]
            tokens = tf.where(here, follower[:, None], tokens)
        return {"token_ids": tokens, "padding_mask": tokens < END}

    def detokenize(self, rows: tf.RaggedTensor) -> tf.Tensor:
        return tf.strings.reduce_join(tf.gather(tf.constant(EVERY_BYTE, tf.string), rows.flat_values), keepdims=True)


@pytest.mark.parametrize("route", ConversionRoute)
@pytest.mark.parametrize("weight_format", [WeightFormat.FLOAT32, WeightFormat.FLOAT16])
def test_every_route_gives_the_runbooks_signature(route: ConversionRoute, weight_format: WeightFormat) -> None:
    model: Any = NextByte()
    content = keras_graph.convert(model, LENGTH, weight_format, route)
    assert (model.sampler, model.jit_compile) == ("greedy", False)
    interpreter = tf.lite.Interpreter(model_content=content)
    assert interpreter.get_signature_list() == {"serving_default": {"inputs": ["prompt"], "outputs": ["output_0"]}}
    found = interpreter.get_signature_runner("serving_default")(prompt=np.array([b"ab"], object))["output_0"]
    assert np.asarray(found).reshape(-1)[0] == b"abcdefghijkl"
    del found
