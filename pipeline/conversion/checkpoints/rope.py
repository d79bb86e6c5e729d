"""Rotary embeddings as `config.json` states them, in Transformers 4's keys and in 5's."""

from __future__ import annotations

import math
from dataclasses import dataclass

from farm.errors import ModelDamaged
from pipeline.conversion.checkpoints.settings import Settings
from pipeline.conversion.description import Llama3Scaling, RotaryEmbedding

DEFAULT_BASE = 10000.0


@dataclass(frozen=True)
class Rope:
    """A rotary embedding, and how many positions it is the same for: None for all that the model has."""

    embedding: RotaryEmbedding
    positions: int | None = None


def read_rope(
    settings: Settings, head_size: int, positions: int, *, base: float = DEFAULT_BASE, partial: float = 1.0
) -> Rope:
    """The rotary embedding of all layers; UnsupportedArchitecture names a kind that the decoder cannot express.

    base and partial: what the family's configuration class takes where the file says nothing.
    """
    five = settings.table("rope_parameters")
    scaling = settings.table("rope_scaling")
    base = settings.number("rope_theta", base)
    partial = settings.number("partial_rotary_factor", partial)
    if five is not None:
        base, partial = five.number("rope_theta", base), five.number("partial_rotary_factor", partial)
        scaling = five
    size = int(head_size * partial)
    if size < 2 or size % 2:
        raise ModelDamaged(f"config.json turns {size} of {head_size} features of a head; an even number is needed.")
    if scaling is None:
        return Rope(RotaryEmbedding(base, size))
    rope = read_scaled(scaling, base, size, positions)
    scaling.finish()
    return rope


def read_scaled(scaling: Settings, base: float, size: int, positions: int) -> Rope:
    """The rotary embedding of a table that names a kind; UnsupportedArchitecture for another kind."""
    plain = RotaryEmbedding(base, size)
    # Older files call it `type`; both may stand there.
    kind = scaling.text("rope_type", scaling.value("type", "default"))
    scaling.value("type", None)
    match kind:
        case "default":
            return Rope(plain)
        case "linear":
            return Rope(RotaryEmbedding(base, size, position_scale=scaling.number("factor")))
        case "dynamic":
            # The base changes only for texts beyond the positions of training.
            scaling.number("factor")
            return Rope(plain, scaling.natural("original_max_position_embeddings", positions))
        case "llama3":
            llama3 = Llama3Scaling(
                factor=scaling.number("factor"),
                low_frequency_factor=scaling.number("low_freq_factor"),
                high_frequency_factor=scaling.number("high_freq_factor"),
                pretraining_length=scaling.natural("original_max_position_embeddings"),
            )
            return Rope(RotaryEmbedding(base, size, llama3=llama3))
        case "yarn":
            return Rope(_yarn(scaling, base, size, positions))
        case _:
            raise scaling.unsupported("rope_type", kind)


def _yarn(scaling: Settings, base: float, size: int, positions: int) -> RotaryEmbedding:
    """YaRN (Peng et al., 2023): fast frequencies stay, slow ones are divided, those between are blended."""
    factor = scaling.number("factor")
    trained = scaling.natural("original_max_position_embeddings", positions)
    fast, slow = scaling.number("beta_fast", 32.0), scaling.number("beta_slow", 1.0)
    amplitude = scaling.number("attention_factor", 0.1 * math.log(factor) + 1.0 if factor > 1 else 1.0)
    scaling.require("truncate", True, True)

    def turning(rotations: float) -> float:
        return size * math.log(trained / (rotations * 2 * math.pi)) / (2 * math.log(base))

    low, high = max(math.floor(turning(fast)), 0), min(math.ceil(turning(slow)), size - 1)
    width = high - low if high != low else 0.001
    divisors = []
    for index in range(size // 2):
        slowed = min(max((index - low) / width, 0.0), 1.0)
        divisors.append(1.0 / (slowed / factor + (1.0 - slowed)))
    return RotaryEmbedding(base, size, frequency_divisors=tuple(divisors), amplitude=amplitude)


def read_long_rope(settings: Settings, head_size: int, positions: int, partial: float) -> Rope:
    """Phi-3's: short factors within the trained length, to which the model is held."""
    scaling = settings.table("rope_scaling")
    size = int(head_size * partial)
    base = settings.number("rope_theta", DEFAULT_BASE)
    trained = settings.natural("original_max_position_embeddings", positions)
    if scaling is None:
        return Rope(RotaryEmbedding(base, size))
    kind = scaling.text("rope_type", scaling.value("type", "default"))
    scaling.value("type", None)
    if kind not in ("su", "longrope"):
        raise scaling.unsupported("rope_type", kind)
    short = scaling.items("short_factor", size // 2)
    if short is None or not all(type(value) in (int, float) and value > 0 for value in short):
        raise ModelDamaged(f"rope_scaling in config.json needs a short_factor of {size // 2} numbers; correct it.")
    scaling.value("long_factor", None)
    stretch = positions / trained
    amplitude = 1.0 if stretch <= 1.0 else math.sqrt(1 + math.log(stretch) / math.log(trained))
    amplitude = scaling.number("attention_factor", amplitude)
    scaling.finish()
    divisors = tuple(float(value) for value in short)
    return Rope(RotaryEmbedding(base, size, frequency_divisors=divisors, amplitude=amplitude), trained)
