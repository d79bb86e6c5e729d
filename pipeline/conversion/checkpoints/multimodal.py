"""The language model in a folder of a model that reads images too."""

from __future__ import annotations

from dataclasses import replace

from farm.errors import ModelDamaged
from pipeline.conversion.checkpoints import gemma
from pipeline.conversion.checkpoints.builder import Architecture, Builder

TEXT = "text_config"
# The language model's tensors: as published, and as Transformers names them since release 5.
PUBLISHED, CURRENT = "language_model.model.", "model.language_model."
PUBLISHED_HEAD = "language_model.lm_head.weight"
# What turns images into embeddings: never computed for a text.
IMAGE_PARTS = ("vision_tower.", "multi_modal_projector.", "model.vision_tower.", "model.multi_modal_projector.")
IMAGE_KEYS = (
    "vision_config", "mm_tokens_per_image", "boi_token_index", "boi_token_id", "eoi_token_index", "eoi_token_id",
    "image_token_index", "image_token_id",
)  # fmt: skip


def read_gemma3(builder: Builder) -> Architecture:
    """Gemma 3 with images, read as the Gemma 3 of text in it."""
    top = builder.settings
    text = top.table(TEXT)
    if text is None:
        raise ModelDamaged(f"config.json has no {TEXT}, which describes the language model; copy the model's own file.")
    for key in IMAGE_KEYS:
        top.value(key, None)
    if top.states("tie_word_embeddings"):
        top.require("tie_word_embeddings", text.value("tie_word_embeddings", True), True)
    top.finish()
    builder.settings = text
    if builder.prefix == PUBLISHED:
        builder.head = PUBLISHED_HEAD
    count = builder.leave_out(IMAGE_PARTS)
    read = gemma.read_gemma3(builder)
    note = f"The model reads images too: the {count} tensors for them are left out, and the result is of text alone."
    return replace(read, notes=(*read.notes, note))
