"""Opening a file of the I/O mode `tokens` in LiteRT."""

from __future__ import annotations

from pathlib import Path

from farm.errors import FileUnreadable
from pipeline.inference.compiled import declared_shape, first_line, open_compiled, signature_shape
from pipeline.inference.contract import RUN, Contract, read_contract
from pipeline.inference.dynamic_model import DynamicModel
from pipeline.inference.static_model import StaticModel
from pipeline.inference.token_model import Float32, TokenModel

__all__ = ["Float32", "TokenModel", "open_token_model", "read_sizes"]


def open_token_model(path: Path, threads: int = 1, context: int | None = None) -> TokenModel:
    """Open a file; FileUnreadable when it is none, damaged, or not of the I/O mode `tokens`'s contract.

    context: the longest text of a file in the dynamic form; the static form says so itself.
    """
    if not path.is_file():
        raise FileUnreadable(f"{path} is no file; give a .tflite file.")
    try:
        model = open_compiled(path, threads)
        dynamic = RUN in model.get_signature_list()
        shapes = {name: signature_shape(model, name) for name in model.get_signature_list()}
        if dynamic:
            shapes[RUN] = declared_shape(path, RUN)
    except (ValueError, RuntimeError) as error:
        raise FileUnreadable(
            f"{path} can't be opened as a .tflite model ({first_line(error)}); make it again."
        ) from error
    contract = read_contract(shapes, str(path), context)
    try:
        return DynamicModel(model, contract) if dynamic else StaticModel(model, contract, shapes)
    except (ValueError, RuntimeError) as error:
        raise FileUnreadable(
            f"{path} can't be run on this machine ({first_line(error)}); make it again with another recipe."
        ) from error


def read_sizes(path: Path, context: int) -> Contract:
    """The sizes of a file in the dynamic form, without opening it to run: no weight is read. FileUnreadable when it is
    none."""
    try:
        shape = declared_shape(path, RUN)
    except (ValueError, RuntimeError) as error:
        raise FileUnreadable(
            f"{path} is not of dynamic lengths ({first_line(error)}); convert the model again without --static-shapes."
        ) from error
    return read_contract({RUN: shape}, str(path), context)
