"""The matrix products of a decoder: which matrices read the same activation, and who makes it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pipeline.conversion.description import OUTPUT_EMBEDDING, TOKEN_EMBEDDING, DecoderDescription, layer_weight
from pipeline.conversion.numpy_forward import LOGITS


class ProductName(StrEnum):
    """As the fields of `Rotations`."""

    QKV = "qkv"
    ATTENTION_OUTPUT = "attention_output"
    FEED_FORWARD = "feed_forward"
    DOWN = "down"
    LOGITS = "logits"


@dataclass(frozen=True)
class Product:
    """One activation and the matrices that it is multiplied by.

    layer: None for the logits. matrices: their full names. observed: the activation's name in the forward pass. width:
    features of the activation. norm: the norm that makes it and that nothing else reads, its name without `_scale`;
    None where another makes it.
    """

    name: ProductName
    layer: int | None
    matrices: tuple[str, ...]
    observed: str
    width: int
    norm: str | None = None

    def neighbour(self, name: str) -> str:
        """The full name of a weight of the same layer."""
        return name if self.layer is None else layer_weight(self.layer, name)

    def __str__(self) -> str:
        return self.name if self.layer is None else f"layer {self.layer} {self.name}"


def layer_products(description: DecoderDescription, index: int) -> tuple[Product, ...]:
    """The products of one layer, in the order in which they are computed."""
    norms_apart = not description.norm_after_residual and not description.residual_from_norm
    attention_norm = layer_weight(index, "attention_norm") if norms_apart else None
    feed_forward_norm = layer_weight(index, "feed_forward_norm") if norms_apart else None
    read = ("gate", "up") if description.gated_feed_forward else ("up",)
    hidden, attention = description.hidden_size, description.query_heads * description.head_size
    return (
        Product(ProductName.QKV, index, _matrices(index, "qkv"), "qkv", hidden, attention_norm),
        Product(
            ProductName.ATTENTION_OUTPUT, index, _matrices(index, "attention_output"), "attention_output", attention
        ),
        Product(ProductName.FEED_FORWARD, index, _matrices(index, *read), "up", hidden, feed_forward_norm),
        Product(ProductName.DOWN, index, _matrices(index, "down"), "down", description.intermediate_size),
    )


def logits_product(description: DecoderDescription) -> Product:
    """The product with the output embedding."""
    table = TOKEN_EMBEDDING if description.tied_embedding else OUTPUT_EMBEDDING
    norm = "final_norm" if description.final_norm and description.embedding_size is None else None
    return Product(ProductName.LOGITS, None, (table,), LOGITS, description.table_size, norm)


def _matrices(index: int, *names: str) -> tuple[str, ...]:
    return tuple(layer_weight(index, f"{name}_weight") for name in names)
