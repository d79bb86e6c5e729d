"""SentencePiece files, which are hostile until they are read here: bounded before any other program opens them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

from google.protobuf.message import DecodeError

from farm.errors import ModelDamaged, ModelUnsafe

FILE_BYTES = 64 << 20
# Gemma's vocabulary has 262,144; a file with more than this is no tokenizer.
MOST_PIECES = 1_000_000
PIECE_BYTES = 4096
PIECES_FIELD, LENGTH_DELIMITED = 1, 2
BPE = 2


class PieceType(IntEnum):
    """What a piece is for."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


@dataclass(frozen=True)
class Piece:
    """A piece, whose id is its index. score: of a BPE the negative rank of the merge that makes it."""

    text: str
    score: float
    type: PieceType


@dataclass(frozen=True)
class SentencePieceFile:
    """pieces by id; what the normalizer does is said by its settings, `charsmap` true for a table of its own."""

    pieces: tuple[Piece, ...]
    model_type: int
    byte_fallback: bool
    suffix_whitespace: bool
    charsmap: bool
    dummy_prefix: bool
    remove_extra_whitespaces: bool
    escape_whitespaces: bool
    normalizer: str


def read_proto(content: bytes, name: str) -> SentencePieceFile:
    """Read a file by that name; ModelDamaged, or ModelUnsafe beyond the limits."""
    if len(content) > FILE_BYTES:
        raise ModelUnsafe(f"{name} has {len(content)} bytes, more than any tokenizer; it is refused.")
    _bound_pieces(content, name)
    # It brings protobuf's descriptors.
    from sentencepiece import sentencepiece_model_pb2

    try:
        model = sentencepiece_model_pb2.ModelProto.FromString(content)
        pieces = tuple(_piece(one.piece, one.score, one.type, number, name) for number, one in enumerate(model.pieces))
    except (DecodeError, UnicodeDecodeError) as error:
        raise _damaged(name) from error
    if not pieces:
        raise ModelDamaged(f"{name} holds no pieces; save or copy the tokenizer again.")
    _require_distinct(pieces, name)
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    return SentencePieceFile(
        pieces=pieces,
        model_type=int(trainer.model_type),
        byte_fallback=bool(trainer.byte_fallback),
        suffix_whitespace=bool(trainer.treat_whitespace_as_suffix),
        charsmap=bool(normalizer.precompiled_charsmap),
        dummy_prefix=bool(normalizer.add_dummy_prefix),
        remove_extra_whitespaces=bool(normalizer.remove_extra_whitespaces),
        escape_whitespaces=bool(normalizer.escape_whitespaces),
        normalizer=str(normalizer.name),
    )


def _piece(text: str | bytes, score: float, kind: int, number: int, name: str) -> Piece:
    # What is no UTF-8 stays bytes.
    if isinstance(text, bytes):
        raise _damaged(name)
    if len(text.encode()) > PIECE_BYTES:
        raise ModelUnsafe(f"{name} has a piece of more than {PIECE_BYTES} bytes (id {number}); it is refused.")
    if not text or not math.isfinite(score):
        raise ModelDamaged(f"{name} has an empty piece or a score that is no number (id {number}); save it again.")
    return Piece(text, score, PieceType(kind))


def _require_distinct(pieces: tuple[Piece, ...], name: str) -> None:
    ids: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        if (first := ids.setdefault(piece.text, number)) != number:
            raise ModelDamaged(
                f"{name} has the piece {piece.text[:60]!r} twice, as {first} and as {number}; save the tokenizer again."
            )


def _bound_pieces(content: bytes, name: str) -> None:
    """Walk over the outermost fields only: each piece becomes an object once protobuf reads it."""
    at, pieces, size = 0, 0, len(content)
    while at < size:
        key, at = _varint(content, at, name)
        field, wire = key >> 3, key & 7
        if wire == LENGTH_DELIMITED:
            length, at = _varint(content, at, name)
            at += length
        elif wire == 0:
            _, at = _varint(content, at, name)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
        else:
            raise _damaged(name)
        pieces += field == PIECES_FIELD
        if pieces > MOST_PIECES:
            raise ModelUnsafe(f"{name} has more than {MOST_PIECES} pieces; it is refused.")
    if at != size:
        raise _damaged(name)


def _varint(content: bytes, at: int, name: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(content):
            raise _damaged(name)
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _damaged(name)


def _damaged(name: str) -> ModelDamaged:
    return ModelDamaged(f"{name} is cut or no SentencePiece model; save or copy the tokenizer again.")
