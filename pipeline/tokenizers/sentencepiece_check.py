"""A translated SentencePiece model beside SentencePiece itself, on texts of many scripts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from farm.errors import ModelDamaged
from pipeline.inference.mixed_texts import mixed_texts
from pipeline.tokenizers.codec import TextCodec
from pipeline.tokenizers.proto import PieceType, SentencePieceFile

TEXTS = 600
MOST_BYTES = 400
SHOWN = 8


def require_same(content: bytes, file: SentencePieceFile, codec: TextCodec, texts: Sequence[str] = ()) -> None:
    """ModelDamaged when a text gets other tokens, or prints otherwise, than in SentencePiece.

    texts: beside the farm's own, such as the job's evaluation text.
    """
    from sentencepiece import SentencePieceProcessor

    try:
        processor = SentencePieceProcessor(model_proto=content)
    except RuntimeError as error:
        raise ModelDamaged(
            "SentencePiece cannot open the model's tokenizer; save or copy the tokenizer again."
        ) from error
    for text in _texts(file, texts):
        wanted, found = processor.encode(text), codec.encode_literally(text)
        if wanted != found:
            raise ModelDamaged(
                f"The tokenizer reads {text[:60]!r} otherwise than SentencePiece ({_first(found, wanted)});"
                " report this with the tokenizer file, since the model would read other tokens."
            )
        if processor.decode(wanted) != codec.decode(found):
            raise ModelDamaged(
                f"The tokenizer prints the tokens of {text[:60]!r} otherwise than SentencePiece; report this with"
                " the tokenizer file."
            )


def _texts(file: SentencePieceFile, own: Sequence[str]) -> Iterator[str]:
    symbols = [piece.text for piece in file.pieces if piece.type is PieceType.USER_DEFINED]
    every = max(1, len(symbols) // 60)
    for text in (*mixed_texts(TEXTS, MOST_BYTES, further=symbols[::every]), *own):
        # SentencePiece ends a text at the first zero character when it prints it.
        text = text.replace("\0", "")
        if file.dummy_prefix and symbols:
            # As Transformers does, no dummy prefix stands before a symbol or a second blank.
            text = "a" + text
        yield text


def _first(found: Sequence[int], wanted: Sequence[int]) -> str:
    at = next((at for at, pair in enumerate(zip(found, wanted, strict=False)) if pair[0] != pair[1]), 0)
    return f"{list(found[at : at + SHOWN])} instead of {list(wanted[at : at + SHOWN])} from token {at} on"
