"""From a loaded model and its files to the one `tokenizer.json`, and to what `model-info.json` says of it.

What a Transformers folder's files state comes first; else KerasHub's tokenizer is asked for its vocabulary and merges,
or its SentencePiece proto. KerasHub's own splitting is no reference: it takes every model for Llama 3's, and splits
nothing outside of a graph (docs/decisions/0003-reference-tokenizer.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from farm.errors import ModelDamaged
from farm.jobspec import IoMode
from farm.prompting import Prompting
from farm.tokenizer_kinds import Feature, PreTokenizer, Reader, unable
from pipeline.tokenizers import byte_level, document, proto, sentencepiece_bpe, sentencepiece_check, stop_tokens
from pipeline.tokenizers import transformers_files as files
from pipeline.tokenizers.codec import TextCodec
from pipeline.tokenizers.document import TokenizerDocument
from pipeline.tokenizers.unusable import TokenizerUnusable

Json = Any

NO_TOKENIZER = "The model was saved without a tokenizer; save it with its preprocessor to get an app."


@dataclass(frozen=True)
class TokenizerExport:
    """What goes into `tokenizer.json` and into `model-info.json`.

    content: the file. kind: the kind's name when the app can use it, else None with `reason` as a sentence. tokenizer:
    None when no reader has an equal of it. start_token: what is put before every prompt, None for nothing. stop_tokens:
    ids ascending, empty without a tokenizer; end_token is one of them. split: how a byte-level BPE splits, None where
    that is not in the table. others: the settings behind Feature.OTHER by name.
    """

    content: bytes
    kind: str | None
    reason: str | None
    tokenizer: TextCodec | None
    start_token: int | None
    end_token: int | None
    stop_tokens: tuple[int, ...] = ()
    split: PreTokenizer | None = None
    features: frozenset[Feature] = field(default_factory=frozenset)
    others: tuple[str, ...] = ()

    def with_stops(self, tokens: Sequence[int]) -> TokenizerExport:
        """The same with further tokens that end an answer."""
        return replace(self, stop_tokens=tuple(sorted({*self.stop_tokens, *tokens})))

    def why_no_app(self, io_mode: IoMode) -> str | None:
        """Why the farm makes no app of the model in that I/O mode, None where it does (`strings` reads none)."""
        return None if io_mode is IoMode.STRINGS else self.reason

    def missing(self, reader: Reader) -> str | None:
        """What the reader cannot do of this tokenizer, as a list; None for nothing."""
        if self.tokenizer is None:
            return "a tokenizer of a kind that is not in the farm's table"
        lacking = [name.value for name in unable(reader, self.features) if name is not Feature.OTHER]
        return ", ".join([*lacking, *(self.others if Feature.OTHER in self.features else ())]) or None

    def encode(self, text: str) -> list[int]:
        """The text's tokens behind the start token."""
        start = [] if self.start_token is None else [self.start_token]
        return start if self.tokenizer is None else start + self.tokenizer.encode(text)

    def encode_literally(self, text: str) -> list[int]:
        """The text's own tokens, special tokens in it read as ordinary text."""
        return [] if self.tokenizer is None else self.tokenizer.encode_literally(text)


def export_tokenizer(
    preprocessor: Any,
    family: str,
    source: Path | None = None,
    *,
    tokens: int | None = None,
    prompting: Prompting | None = None,
    evaluation: str | None = None,
) -> TokenizerExport:
    """The export of a loaded model's tokenizer; ModelDamaged when its parts do not fit each other.

    source: the model's folder, whose files come first where Transformers wrote them. tokens: the rows of the model's
    embedding. prompting: whose template may name the end of a turn. evaluation: the job's text, on which a translation
    is compared too.
    """
    keras = getattr(preprocessor, "tokenizer", None)
    own = None if source is None or not files.is_transformers(source) else source
    keras_start = getattr(keras, "start_token_id", None) if getattr(preprocessor, "add_start_token", True) else None
    try:
        value = _read(keras, own, () if evaluation is None else (evaluation,))
        if value is None:
            return _without_equal({"class": None}, NO_TOKENIZER)
        written = document.write(value if tokens is None else document.within(value, tokens))
        codec = _open(written)
        ids = codec.ids
        start = keras_start if own is None else files.start_token(own, files.read_document(own), ids)
    except TokenizerUnusable as error:
        reason = (
            f"The farm has no tokenizer with {error.setting} yet, which the model of the family {family} has; the job"
            " ends at the verified model.tflite."
        )
        stops = _stops(keras, own, {}, None, None, tokens)
        return _without_equal({"class": type(keras).__name__}, reason, keras_start, stops)
    stops = _stops(keras, own, ids, codec, prompting, tokens)
    if not stops:
        raise ModelDamaged(
            "No file of the model names a token that ends a text; add eos_token_id to generation_config.json."
        )
    export = TokenizerExport(
        content=written.content,
        kind=None,
        reason=None,
        tokenizer=codec,
        start_token=start,
        end_token=stops[0],
        stop_tokens=tuple(sorted(set(stops))),
        split=written.split,
        features=written.features,
        others=written.others,
    )
    lacking = export.missing(Reader.APP)
    if lacking is None:
        return _with_kind(export, written)
    reason = (
        f"The app's tokenizer cannot do this yet: {lacking}, which the model of the family {family} needs; the job ends"
        " at the verified model.tflite."
    )
    return _replaced(export, reason=reason)


def _with_kind(export: TokenizerExport, written: TokenizerDocument) -> TokenizerExport:
    return _replaced(export, kind=None if written.kind is None else written.kind.value)


def _replaced(export: TokenizerExport, **changes: Any) -> TokenizerExport:
    return TokenizerExport(**{**vars(export), **changes})


def _read(keras: Any, own: Path | None, texts: Sequence[str]) -> Json | None:
    """The tokenizer as a `tokenizer.json`; None where there is none."""
    if own is not None:
        if (stated := files.read_document(own)) is not None:
            return stated
        if (path := own / files.SENTENCEPIECE).is_file():
            return files.add_tokens(_translate(path.read_bytes(), files.SENTENCEPIECE, texts), own)
        if (slow := files.read_vocabulary(own)) is not None:
            return files.add_tokens(slow, own)
        return None
    if keras is None:
        return None
    if _is_a("SentencePieceTokenizer", keras):
        return _translate(bytes(keras.proto), "the tokenizer's vocabulary.spm", texts)
    if not _is_a("BytePairTokenizer", keras):
        raise TokenizerUnusable(f"KerasHub's class {type(keras).__name__}")
    return read_byte_pair(keras)


def read_byte_pair(keras: Any) -> Json:
    """KerasHub's byte-pair tokenizer as a `tokenizer.json`; TokenizerUnusable for a class that is not in the table."""
    name, vocabulary = type(keras).__name__, keras.vocabulary
    split = byte_level.split_of(name, vocabulary)
    if split is None:
        raise TokenizerUnusable(f"the way in which KerasHub's class {name} splits")
    if keras.add_prefix_space and split is not PreTokenizer.GPT2:
        raise TokenizerUnusable(f"add_prefix_space beside the pre-tokenizer {split.value}")
    merges = [byte_level.read_merge(merge) for merge in keras.merges if merge and not str(merge).startswith("#version")]
    whole = dict.fromkeys([*keras.special_tokens, *(getattr(keras, "unsplittable_tokens", None) or ())])
    added = [byte_level.special_token(token, vocabulary[token]) for token in whole if token in vocabulary]
    pre_tokenizer = byte_level.write_pre_tokenizer(split, bool(keras.add_prefix_space))
    return byte_level.write_document(vocabulary, merges, added, pre_tokenizer)


def _translate(content: bytes, name: str, texts: Sequence[str]) -> Json:
    """A SentencePiece file as a `tokenizer.json`, compared with SentencePiece itself."""
    file = proto.read_proto(content, name)
    value = sentencepiece_bpe.write_document(file)
    sentencepiece_check.require_same(content, file, _open(document.write(value)), texts)
    return value


def _open(written: TokenizerDocument) -> TextCodec:
    return TextCodec(written.content, "the model's tokenizer")


def _stops(
    keras: Any, own: Path | None, ids: dict[str, int], codec: TextCodec | None, prompting: Prompting | None,
    tokens: int | None,
) -> list[int]:  # fmt: skip
    """Every token that something names as an end, the model's own end token first."""
    found = [] if own is None else list(stop_tokens.of_transformers(own, ids))
    if keras is not None:
        found += stop_tokens.of_keras(keras)
    if codec is not None and prompting is not None:
        found += stop_tokens.of_template(prompting, codec)
    for number in found:
        if tokens is not None and number >= tokens:
            raise ModelDamaged(
                f"The model's files name the end token {number}, but the model has only {tokens} tokens; correct"
                " eos_token_id in generation_config.json or config.json."
            )
    return found


def _is_a(name: str, tokenizer: Any) -> bool:
    # By name, since importing KerasHub for one class would cost seconds.
    return any(cls.__name__ == name for cls in type(tokenizer).__mro__)


def _without_equal(
    about: Json, reason: str, start: int | None = None, stops: list[int] | None = None
) -> TokenizerExport:
    content = json.dumps({"keras_tokenizer": about, "note": reason}, sort_keys=True).encode()
    ends = stops or []
    return TokenizerExport(content, None, reason, None, start, ends[0] if ends else None, tuple(sorted(set(ends))))
