"""In which weight format each matrix of a model is stored: the recipe's, or another one where that does not fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from farm.recipes import Recipe, WeightFormat
from farm.runtimes import Runtime
from pipeline.conversion.description import (
    EMBEDDING_PROJECTION,
    OUTPUT_PROJECTION,
    POSITION_EMBEDDING,
    TOKEN_EMBEDDING,
    DecoderDescription,
)
from pipeline.conversion.preparation.products import Product, ProductName, layer_products, logits_product
from pipeline.conversion.quantization.formats import FORMATS, format_for


@dataclass(frozen=True)
class MatrixFormats:
    """default: of whatever has no name here. products: of the matrices of each. by_name: of those that differ from the
    default. notes: which ones a reader would not expect."""

    default: WeightFormat
    products: Mapping[ProductName, WeightFormat]
    by_name: Mapping[str, WeightFormat]
    notes: tuple[str, ...] = ()


def choose_formats(description: DecoderDescription, recipe: Recipe, runtime: Runtime) -> MatrixFormats:
    """What the recipe says, for this runtime; int8 by row for rows that no block divides."""
    default = format_for(recipe.weight_format, runtime)
    table = default if recipe.table_format is None else format_for(recipe.table_format, runtime)
    logits = logits_product(description)
    layers = [product for index in range(len(description.layers)) for product in layer_products(description, index)]
    products = {product.name: _fitting(default, product.width) for product in layers}
    products[logits.name] = _fitting(table, logits.width)
    by_name = {name: products[product.name] for product in (*layers, logits) for name in product.matrices}
    by_name[TOKEN_EMBEDDING] = products[logits.name]
    # Of the few models that have them they are small, and what a table is looked up with.
    by_name |= dict.fromkeys((EMBEDDING_PROJECTION, OUTPUT_PROJECTION, POSITION_EMBEDDING), table)
    shapes = description.weight_shapes()
    kept = {name: chosen for name, chosen in by_name.items() if name in shapes and chosen is not default}
    return MatrixFormats(default, products, kept, _notes(products, (*layers, logits), default, table))


def _fitting(weight_format: WeightFormat, width: int) -> WeightFormat:
    return weight_format if width % FORMATS[weight_format].row_multiple == 0 else WeightFormat.INT8_PER_ROW


def _notes(
    products: Mapping[ProductName, WeightFormat], all_products: tuple[Product, ...], default: WeightFormat,
    table: WeightFormat,
) -> tuple[str, ...]:  # fmt: skip
    widths = {product.name: product.width for product in all_products}
    wanted = dict.fromkeys(ProductName, default) | {ProductName.LOGITS: table}
    return tuple(
        f"The matrices {name} are stored as {chosen}: their rows of {widths[name]} values are no multiple of"
        f" {FORMATS[wanted[name]].row_multiple}."
        for name, chosen in products.items()
        if chosen is not wanted[name]
    )
