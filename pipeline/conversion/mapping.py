"""From a loaded CausalLM to a checked description with its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from farm.errors import NotCausalLM, UnsupportedFamily
from pipeline.conversion.description import DecoderDescription
from pipeline.conversion.families import FAMILIES, family_name
from pipeline.conversion.keras_weights import KerasWeights
from pipeline.conversion.viewed_weights import ViewedWeights


@dataclass(frozen=True)
class MappedModel:
    """A model that the decoder can express. positions: its longest context, None without such a limit."""

    family: str
    description: DecoderDescription
    weights: ViewedWeights
    positions: int | None


def map_model(causal_lm: Any) -> MappedModel:
    """Describe the model; UnsupportedFamily, UnsupportedArchitecture, DescriptionMismatch.

    Two checks are here: the description fits the weights, and every Keras parameter was used once.
    """
    backbone = getattr(causal_lm, "backbone", None)
    if backbone is None:
        raise NotCausalLM("The model has no backbone; give a KerasHub CausalLM.")
    class_name = type(backbone).__name__
    if class_name not in FAMILIES:
        raise unsupported_family(class_name)
    weights = KerasWeights()
    architecture = FAMILIES[class_name](backbone, weights)
    architecture.description.check(weights)
    weights.check_all_used(causal_lm.weights)
    return MappedModel(family_name(class_name), architecture.description, weights, architecture.positions)


def unsupported_family(backbone_class: str) -> UnsupportedFamily:
    """The refusal of a family without mapping."""
    known = ", ".join(family_name(name) for name in FAMILIES)
    return UnsupportedFamily(
        f"There is no mapping for the family {family_name(backbone_class)} yet; use a model of one of these: {known}."
    )
