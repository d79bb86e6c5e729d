"""SentencePiece BPE: from a proto to a `tokenizer.json` with the same tokens, and how a token prints."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.tokenizers.proto import BPE, Piece, PieceType, SentencePieceFile
from pipeline.tokenizers.unusable import TokenizerUnusable

Json = Any

SPACE = "\u2581"
# Pieces that merges can make.
MERGED = frozenset({PieceType.NORMAL, PieceType.USER_DEFINED})
BYTE_TOKEN = re.compile(r"<0x([0-9A-F]{2})>")
MODEL_TYPES = {1: "unigram", 3: "word", 4: "char"}


def write_document(file: SentencePieceFile) -> Json:
    """The `tokenizer.json` as a value; TokenizerUnusable names a setting that has no equal in it."""
    _require_usable(file)
    user_defined = any(piece.type is PieceType.USER_DEFINED for piece in file.pieces)
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": SPACE}
    # A dummy prefix as a normalizer would be put before the added tokens' own content, too.
    first = file.dummy_prefix and user_defined
    normalizer: Json = replace
    if file.dummy_prefix:
        normalizer = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE}, replace]}
    printing: list[Json] = [
        {"type": "Replace", "pattern": {"String": SPACE}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
    ]
    if file.dummy_prefix:
        printing.append({"type": "Strip", "content": " ", "start": 1, "stop": 0})
    unknown = next(piece.text for piece in file.pieces if piece.type is PieceType.UNKNOWN)
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": list(_added_tokens(file.pieces, normalized=not file.dummy_prefix)),
        "normalizer": None if first else normalizer,
        "pre_tokenizer": metaspace_first() if first else None,
        "post_processor": None,
        "decoder": {"type": "Sequence", "decoders": printing},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": unknown,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "ignore_merges": False,
            "vocab": {piece.text: number for number, piece in enumerate(file.pieces)},
            "merges": list_merges(file.pieces),
        },
    }


def metaspace_first() -> Json:
    """A dummy prefix at the beginning of the text alone."""
    return {"type": "Metaspace", "replacement": SPACE, "prepend_scheme": "first", "split": False}


def list_merges(pieces: tuple[Piece, ...]) -> list[list[str]]:
    """Every way to make a piece of two, best score first: of equal pairs SentencePiece takes the leftmost."""
    known = {piece.text: number for number, piece in enumerate(pieces) if piece.type in MERGED}
    found = [
        (-pieces[number].score, number, len(text[:cut]), text[:cut], text[cut:])
        for text, number in known.items()
        for cut in range(1, len(text))
        if text[:cut] in known and text[cut:] in known
    ]
    return [[left, right] for *_, left, right in sorted(found)]


def print_token(token: str) -> bytes:
    """The bytes that a vocabulary's entry stands for."""
    if len(token) == 6 and (match := BYTE_TOKEN.fullmatch(token)):
        return bytes([int(match[1], 16)])
    return token.replace(SPACE, " ").encode()


def missing_bytes(vocabulary: Mapping[str, int]) -> list[int]:
    """The bytes without a token of their own."""
    return [byte for byte in range(256) if f"<0x{byte:02X}>" not in vocabulary]


def _added_tokens(pieces: tuple[Piece, ...], *, normalized: bool) -> Iterator[Json]:
    for number, piece in enumerate(pieces):
        special = piece.type in (PieceType.CONTROL, PieceType.UNKNOWN)
        # No normalized text has a blank, so that a symbol with one is never found.
        if special or (piece.type is PieceType.USER_DEFINED and " " not in piece.text):
            yield {
                "id": number,
                "content": piece.text,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
                # SentencePiece finds its user-defined symbols in the normalized text.
                "normalized": normalized and not special,
                "special": special,
            }


def _require_usable(file: SentencePieceFile) -> None:
    if file.model_type != BPE:
        raise TokenizerUnusable(
            f"the SentencePiece model type {MODEL_TYPES.get(file.model_type, str(file.model_type))}"
        )
    vocabulary = {piece.text: number for number, piece in enumerate(file.pieces)}
    unknown = [piece for piece in file.pieces if piece.type is PieceType.UNKNOWN]
    settings = {
        f"the SentencePiece normalizer {file.normalizer}": file.charsmap,
        "the SentencePiece setting remove_extra_whitespaces": file.remove_extra_whitespaces,
        "the SentencePiece setting treat_whitespace_as_suffix": file.suffix_whitespace,
        "the SentencePiece setting escape_whitespaces=false": not file.escape_whitespaces,
        "a SentencePiece model without byte_fallback": not file.byte_fallback or bool(missing_bytes(vocabulary)),
        "SentencePiece pieces of the type UNUSED": any(piece.type is PieceType.UNUSED for piece in file.pieces),
        f"a SentencePiece model with {len(unknown)} unknown pieces": len(unknown) != 1,
    }
    if (named := next((name for name, found in settings.items() if found), None)) is not None:
        raise TokenizerUnusable(named)
