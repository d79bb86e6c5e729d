"""Reads a stack of decoder blocks: adds their weights and finds out what all blocks have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from farm.errors import UnsupportedArchitecture
from pipeline.conversion.description import Activation, DecoderDescription, Layer, Norm, layer_weight
from pipeline.conversion.families.architecture import Embeddings
from pipeline.conversion.keras_weights import KerasWeights
from pipeline.conversion.viewed_weights import Parameter

KerasLayer = Any
Value = TypeVar("Value")


class BlockReader:
    """Collects one block after the other; `describe` then gives the description that they share."""

    def __init__(self, weights: KerasWeights, norm_offset: float = 0.0) -> None:
        self._weights = weights
        self._norm_offset = norm_offset
        self._norm_epsilons: list[float] = []
        self._query_key_epsilons: list[float] = []
        self._qkv_biases: list[bool] = []
        self._output_biases: list[bool] = []
        self._feed_forward_biases: list[bool] = []
        self._gated: list[bool] = []
        self._layers: list[Layer] = []

    @property
    def index(self) -> int:
        """The number of the block that is being read."""
        return len(self._layers)

    def add_norm(self, name: str, layer: KerasLayer) -> None:
        """A norm over the hidden size."""
        self._norm_epsilons.append(self._weights.add_norm(self._name(name), layer, self._norm_offset))

    def add_query_key_norm(self, query: KerasLayer, key: KerasLayer) -> None:
        """The norms of queries and keys over the head."""
        for name, layer in (("query_norm", query), ("key_norm", key)):
            self._query_key_epsilons.append(self._weights.add_norm(self._name(name), layer, self._norm_offset))

    def add_attention(self, query: KerasLayer, key: KerasLayer, value: KerasLayer, output: KerasLayer) -> None:
        """The four projections; queries, keys and values become one matrix."""
        self._qkv_biases.append(self._weights.add_linear(self._name("qkv"), query, key, value))
        self.add_attention_output(output)

    def add_fused_qkv(self, kernels: Sequence[tuple[Parameter, int]], biases: Sequence[Parameter | None]) -> None:
        """Queries, keys and values that Keras keeps in one kernel, taken apart."""
        self._qkv_biases.append(self._weights.add_projection(self._name("qkv"), kernels, biases))

    def add_attention_output(self, layer: KerasLayer) -> None:
        """The projection behind the attention."""
        self._output_biases.append(self._weights.add_linear(self._name("attention_output"), layer))

    def add_feed_forward(self, up: KerasLayer, down: KerasLayer, gate: KerasLayer | None = None) -> None:
        """The feed-forward network; gate: the projection that the activation is applied to, where there is one."""
        self._gated.append(gate is not None)
        for name, layer in (("gate", gate), ("up", up), ("down", down)):
            if layer is not None:
                self._feed_forward_biases.append(self._weights.add_linear(self._name(name), layer))

    def end_block(self, layer: Layer) -> None:
        """The block is complete."""
        self._layers.append(layer)

    def describe(
        self,
        embeddings: Embeddings,
        *,
        query_heads: int,
        key_value_heads: int,
        head_size: int,
        final_norm: KerasLayer,
        norm: Norm,
        activation: Activation,
    ) -> DecoderDescription:
        """The description, with the usual scale of the queries; `dataclasses.replace` adds what else a family has."""
        query_key_epsilons = self._query_key_epsilons
        return DecoderDescription(
            vocabulary_size=embeddings.vocabulary_size,
            hidden_size=embeddings.hidden_size,
            intermediate_size=self._weights.shape(layer_weight(0, "up_weight"))[0],
            query_heads=query_heads,
            key_value_heads=key_value_heads,
            head_size=head_size,
            layers=tuple(self._layers),
            norm=norm,
            norm_epsilon=same(self._norm_epsilons, "norm epsilon"),
            final_norm_epsilon=self._weights.add_norm("final_norm", final_norm, self._norm_offset),
            activation=activation,
            query_scale=head_size**-0.5,
            norm_bias=norm is Norm.LAYER,
            qkv_bias=same(self._qkv_biases, "attention bias"),
            attention_output_bias=same(self._output_biases, "attention output bias"),
            feed_forward_bias=same(self._feed_forward_biases, "feed-forward bias"),
            gated_feed_forward=same(self._gated, "feed-forward gate"),
            query_key_norm_epsilon=same(query_key_epsilons, "query norm epsilon") if query_key_epsilons else None,
            tied_embedding=embeddings.tied,
            final_logit_cap=embeddings.logit_cap,
        )

    def _name(self, name: str) -> str:
        return layer_weight(self.index, name)


def same(values: Iterable[Value], what: str) -> Value:
    """The one value that all blocks share; UnsupportedArchitecture when they differ."""
    distinct = list(dict.fromkeys(values))
    if len(distinct) != 1:
        raise UnsupportedArchitecture(
            f"The model's layers differ in their {what} ({', '.join(map(str, distinct[:3])) or 'there are none'}),"
            " which the decoder cannot express; use a model whose layers agree."
        )
    return distinct[0]
