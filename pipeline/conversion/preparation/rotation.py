"""Block Hadamard rotation: a product's input and its matrix are turned alike, so that no feature stands out in a block.

The input of the attention's output projection is a mixture of values, so that the values' own rows can be turned
beforehand. The others are turned as the model runs, by an ordinary product with a small constant matrix.
"""

from __future__ import annotations

from dataclasses import replace

from pipeline.conversion.description import DecoderDescription, Rotations
from pipeline.conversion.hadamard import block_for
from pipeline.conversion.preparation.layer_work import LayerWork
from pipeline.conversion.preparation.products import Product, ProductName, layer_products, logits_product


def blocks(description: DecoderDescription) -> dict[ProductName, int]:
    """The size of the blocks in which each product's input is turned; 0 where no block divides it."""
    products = (*layer_products(description, 0), logits_product(description))
    found = {product.name: block_for(product.width) for product in products}
    if merges_into_values(description):
        found[ProductName.ATTENTION_OUTPUT] = block_for(description.head_size)
    return found


def merges_into_values(description: DecoderDescription) -> bool:
    """Whether the values can be turned instead of their mixtures: a head is made of whole blocks."""
    return block_for(description.head_size) > 0


def describe(description: DecoderDescription) -> DecoderDescription:
    """The description of the turned model."""
    found = {name.value: block for name, block in blocks(description).items()}
    if merges_into_values(description):
        del found[ProductName.ATTENTION_OUTPUT.value]
    return replace(description, rotations=Rotations(**found))


def rotate(work: LayerWork) -> None:
    """Turn the matrices of a layer's products, or of the logits."""
    for product in work.products:
        block = work.blocks[product.name]
        if not block:
            continue
        for matrix in product.matrices:
            work.weights.changes[matrix].column_block = block
        if product.name is ProductName.ATTENTION_OUTPUT and merges_into_values(work.description):
            _turn_values(work, product, block)
        work.turn_inputs(product, block)


def _turn_values(work: LayerWork, product: Product, block: int) -> None:
    description = work.description
    first = (description.query_heads + description.key_value_heads) * description.head_size
    for name in ("qkv_weight", "qkv_bias") if description.qkv_bias else ("qkv_weight",):
        change = work.weights.changes[product.neighbour(name)]
        change.turned_rows, change.row_block = first, block
