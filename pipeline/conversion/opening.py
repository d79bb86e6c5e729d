"""From a source folder to a model that the decoder can express, and to who says what it computes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farm.errors import UnsupportedFamily
from farm.jobspec import TokenizerGraph
from pipeline.conversion import keras_adapter, loading, mapping, numpy_forward
from pipeline.conversion.checkpoints import reading
from pipeline.conversion.full_forward import Forward, FullForward
from pipeline.conversion.loading import CausalLM
from pipeline.conversion.mapping import MappedModel
from pipeline.conversion.numpy_forward import NumpyForward
from pipeline.conversion.preset_tokenizer import read_tokenizer


@dataclass(frozen=True)
class OpenedModel:
    """A model and its witness. causal_lm: Keras's, None where Keras did not read it; witness: what the decoder and the
    written file are compared with, for people."""

    model: MappedModel
    forward: Forward
    preprocessor: Any
    causal_lm: CausalLM | None
    witness: str
    notes: tuple[str, ...] = ()


def open_model(source: Path, graph: TokenizerGraph, threads: int = 1) -> OpenedModel:
    """Open a preset, a `.keras` file or a folder that Transformers wrote. threads: for a witness in NumPy."""
    if reading.is_checkpoint(source):
        if graph is TokenizerGraph.TFTEXT:
            raise UnsupportedFamily(
                f"KerasHub's own graph ({TokenizerGraph.TFTEXT}) can only be made of a KerasHub preset or a .keras"
                f" file, and this folder was written by Transformers; use --tokenizer-graph {TokenizerGraph.PORTABLE}."
            )
        return _open_checkpoint(source, threads)
    causal_lm = loading.load_causal_lm(source)
    notes = keras_adapter.apply(causal_lm, source)
    preprocessor = causal_lm.preprocessor
    if preprocessor is None and (forgotten := read_tokenizer(source)) is not None:
        preprocessor, notes = forgotten.preprocessor, (*notes, forgotten.note)
    return OpenedModel(
        model=mapping.map_model(causal_lm),
        forward=FullForward(causal_lm),
        preprocessor=preprocessor,
        causal_lm=causal_lm,
        witness="Keras's full forward pass",
        notes=notes,
    )


def _open_checkpoint(source: Path, threads: int) -> OpenedModel:
    found = reading.read_checkpoint(source)
    return OpenedModel(
        model=MappedModel(found.family, found.description, found.weights, found.positions),
        forward=NumpyForward(found.description, found.weights, threads),
        # Its tokenizer is read from the folder's own files.
        preprocessor=None,
        causal_lm=None,
        witness=numpy_forward.WITNESS,
        notes=(*found.notes, f"Compared with {numpy_forward.WITNESS}: KerasHub did not read this folder."),
    )
