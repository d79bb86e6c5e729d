"""One declarative description of a decoder-only transformer: pure data, from which the graph is built.

Everything that changes the graph stands here and nothing else does, so that two models with the same description share
one converted graph.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from farm import digests
from farm.errors import DescriptionMismatch
from pipeline.conversion.weights import WeightSource

Shape = tuple[int, ...]

TOKEN_EMBEDDING = "token_embedding"  # noqa: S105  (a weight's name)
LOOKUP_SCALE = "lookup_scale"
ROW_SCALES = "_row_scales"
OUTPUT_EMBEDDING = "output_embedding"
POSITION_EMBEDDING = "position_embedding"
EMBEDDING_PROJECTION = "embedding_projection_weight"
OUTPUT_PROJECTION = "output_projection_weight"


class Norm(StrEnum):
    """LayerNorm subtracts the mean, RMSNorm does not."""

    LAYER = "layer"
    RMS = "rms"


class Activation(StrEnum):
    """The feed-forward network's non-linearity."""

    GELU_TANH = "gelu-tanh"
    GELU = "gelu"
    QUICK_GELU = "quick-gelu"
    RELU = "relu"
    RELU_SQUARED = "relu-squared"
    SILU = "silu"
    TANH = "tanh"


@dataclass(frozen=True)
class Llama3Scaling:
    """Llama 3.1's stretching of slow frequencies; lengths in tokens."""

    factor: float
    low_frequency_factor: float
    high_frequency_factor: float
    pretraining_length: int


@dataclass(frozen=True)
class RotaryEmbedding:
    """Rotary position embedding, half-split: of the first `size` features, i turns with i + size / 2.

    position_scale: positions are divided by it. frequency_divisors: one per frequency (Phi-3's "su" scaling).
    amplitude: factor on cosine and sine.
    """

    base: float
    size: int
    position_scale: float = 1.0
    llama3: Llama3Scaling | None = None
    frequency_divisors: tuple[float, ...] | None = None
    amplitude: float = 1.0


@dataclass(frozen=True)
class Layer:
    """What may differ from layer to layer.

    rotary: None for a layer without rotation. attention_window: key j is seen from query i when i - j < window.
    score_scale: factor on the scores beside the description's query_scale.
    """

    rotary: RotaryEmbedding | None = None
    attention_window: int | None = None
    score_scale: float = 1.0


@dataclass(frozen=True)
class Rotations:
    """Which matrix products read their input in blocks of so many features turned by a Hadamard matrix; 0 for none.

    The product's matrix is turned likewise beforehand, so that the product stays the same. logits: of a tied embedding
    the looked-up rows are turned back.
    """

    qkv: int = 0
    attention_output: int = 0
    feed_forward: int = 0
    down: int = 0
    logits: int = 0


@dataclass(frozen=True)
class DecoderDescription:
    """A decoder-only transformer.

    query_key_norm_epsilon: RMSNorm of queries and keys over the head, before rotation. attention_output_norm and
    feed_forward_output_norm: a second norm, before the residual is added. parallel_residual: attention and feed-forward
    both read the layer's input. position_count: rows of the learned position embedding. alibi_slopes: on the scale of
    the finished scores, one per query head. *_logit_cap: cap * tanh(x / cap). embedding_size: of the token embedding,
    where it is projected to the hidden size and back. norm_after_residual: each norm follows its sum instead of
    preceding the branch. residual_from_norm: what is added to a branch is the branch's normalized input. final_norm:
    whether there is one. lookup_scale: whether looked-up rows are multiplied by a vector, which then holds
    embedding_scale as well. row_scales: whether what the layers' matrices and the tables give is multiplied by a vector
    each, since their rows are stored without it. output_scales: the same of the layers' matrices alone.
    """

    vocabulary_size: int
    hidden_size: int
    intermediate_size: int
    query_heads: int
    key_value_heads: int
    head_size: int
    layers: tuple[Layer, ...]
    norm: Norm
    norm_epsilon: float
    final_norm_epsilon: float
    activation: Activation
    query_scale: float
    norm_bias: bool = False
    qkv_bias: bool = False
    attention_output_bias: bool = False
    feed_forward_bias: bool = False
    gated_feed_forward: bool = False
    query_key_norm_epsilon: float | None = None
    attention_output_norm: bool = False
    feed_forward_output_norm: bool = False
    parallel_residual: bool = False
    position_count: int | None = None
    alibi_slopes: tuple[float, ...] | None = None
    embedding_scale: float = 1.0
    embedding_norm_epsilon: float | None = None
    tied_embedding: bool = True
    attention_logit_cap: float | None = None
    final_logit_cap: float | None = None
    embedding_size: int | None = None
    norm_after_residual: bool = False
    residual_from_norm: bool = False
    final_norm: bool = True
    rotations: Rotations = Rotations()
    lookup_scale: bool = False
    row_scales: bool = False
    output_scales: bool = False

    @property
    def table_size(self) -> int:
        """The length of the embeddings' rows."""
        return self.embedding_size or self.hidden_size

    @property
    def layers_scaled(self) -> bool:
        """Whether what the layers' matrices give is multiplied by a vector each."""
        return self.row_scales or self.output_scales

    def canonical_json(self) -> bytes:
        """The one JSON form: `description.json`, and what the graph cache is keyed by."""
        return digests.canonical_json(asdict(self))

    def weight_shapes(self) -> dict[str, Shape]:
        """Every weight that the graph takes, in order: matrices [out, in], vectors [n]."""
        shapes: dict[str, Shape] = {TOKEN_EMBEDDING: (self.vocabulary_size, self.table_size)}
        if self.lookup_scale:
            shapes[LOOKUP_SCALE] = (self.table_size,)
        if self.position_count is not None:
            shapes[POSITION_EMBEDDING] = (self.position_count, self.hidden_size)
        if self.embedding_size is not None:
            shapes[EMBEDDING_PROJECTION] = (self.hidden_size, self.embedding_size)
        if self.embedding_norm_epsilon is not None:
            shapes |= self._norm_shapes("embedding_norm")
        for index in range(len(self.layers)):
            shapes |= {layer_weight(index, name): shape for name, shape in self._layer_shapes().items()}
        if self.final_norm:
            shapes |= self._norm_shapes("final_norm")
        if self.embedding_size is not None:
            shapes[OUTPUT_PROJECTION] = (self.embedding_size, self.hidden_size)
        if not self.tied_embedding:
            shapes[OUTPUT_EMBEDDING] = (self.vocabulary_size, self.table_size)
        return shapes | {f"{name}{ROW_SCALES}": shapes[name][:1] for name in self.scaled_matrices()}

    def scaled_matrices(self) -> tuple[str, ...]:
        """The matrices that have row scales."""
        if not self.layers_scaled:
            return ()
        apart = () if self.tied_embedding else (OUTPUT_EMBEDDING,)
        tables = (TOKEN_EMBEDDING, *apart) if self.row_scales else ()
        matrices = [name for name, shape in self._layer_shapes().items() if len(shape) > 1]
        return (*tables, *(layer_weight(index, name) for index in range(len(self.layers)) for name in matrices))

    def check(self, weights: WeightSource) -> None:
        """Raise DescriptionMismatch unless the source has exactly these weights in these shapes."""
        needed = self.weight_shapes()
        found = {name: tuple(weights.shape(name)) for name in weights.names()}
        faults = [f"{name} is missing" for name in needed if name not in found]
        faults += [f"{name} is left over" for name in found if name not in needed]
        faults += [
            f"{name} is {list(found[name])} instead of {list(shape)}"
            for name, shape in needed.items()
            if name in found and found[name] != shape
        ]
        if self.alibi_slopes is not None and len(self.alibi_slopes) != self.query_heads:
            faults.append(f"{len(self.alibi_slopes)} ALiBi slopes for {self.query_heads} heads")
        if self.query_heads % self.key_value_heads:
            faults.append(f"{self.query_heads} query heads cannot share {self.key_value_heads} key-value heads")
        if faults:
            raise DescriptionMismatch(
                f"The model's weights do not fit its description: {'; '.join(faults[:3])}"
                f"{f'; and {len(faults) - 3} more' if len(faults) > 3 else ''}; check that its files belong together."
            )

    def _norm_shapes(self, name: str) -> dict[str, Shape]:
        size = (self.hidden_size,)
        return {f"{name}_scale": size, **({f"{name}_bias": size} if self.norm_bias else {})}

    def _layer_shapes(self) -> dict[str, Shape]:
        hidden, attention = self.hidden_size, self.query_heads * self.head_size
        qkv = attention + 2 * self.key_value_heads * self.head_size
        shapes = self._norm_shapes("attention_norm")
        shapes |= _linear_shapes("qkv", qkv, hidden, self.qkv_bias)
        if self.query_key_norm_epsilon is not None:
            shapes |= {"query_norm_scale": (self.head_size,), "key_norm_scale": (self.head_size,)}
        shapes |= _linear_shapes("attention_output", hidden, attention, self.attention_output_bias)
        if self.attention_output_norm:
            shapes |= self._norm_shapes("attention_output_norm")
        shapes |= self._norm_shapes("feed_forward_norm")
        if self.gated_feed_forward:
            shapes |= _linear_shapes("gate", self.intermediate_size, hidden, self.feed_forward_bias)
        shapes |= _linear_shapes("up", self.intermediate_size, hidden, self.feed_forward_bias)
        shapes |= _linear_shapes("down", hidden, self.intermediate_size, self.feed_forward_bias)
        if self.feed_forward_output_norm:
            shapes |= self._norm_shapes("feed_forward_output_norm")
        return shapes


def layer_weight(index: int, name: str) -> str:
    """The full name of a layer's weight."""
    return f"layer_{index}_{name}"


def from_json(value: dict[str, Any]) -> DecoderDescription:
    """Read what `canonical_json` wrote."""
    fields = dict(value)
    fields["layers"] = tuple(_layer_from_json(layer) for layer in fields["layers"])
    fields["norm"], fields["activation"] = Norm(fields["norm"]), Activation(fields["activation"])
    if fields["alibi_slopes"] is not None:
        fields["alibi_slopes"] = tuple(fields["alibi_slopes"])
    fields["rotations"] = Rotations(**fields.get("rotations", {}))
    return DecoderDescription(**fields)


def _layer_from_json(value: dict[str, Any]) -> Layer:
    rotary = value["rotary"]
    if rotary is not None:
        scaling, divisors = rotary["llama3"], rotary["frequency_divisors"]
        rotary = RotaryEmbedding(
            **{
                **rotary,
                "llama3": None if scaling is None else Llama3Scaling(**scaling),
                "frequency_divisors": None if divisors is None else tuple(divisors),
            }
        )
    return Layer(rotary=rotary, attention_window=value["attention_window"], score_scale=value["score_scale"])


def _linear_shapes(name: str, out: int, inputs: int, bias: bool) -> dict[str, Shape]:
    return {f"{name}_weight": (out, inputs), **({f"{name}_bias": (out,)} if bias else {})}
