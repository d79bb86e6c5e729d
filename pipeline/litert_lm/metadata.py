"""What LiteRT-LM must know of a model: its `LlmMetadata`, a protobuf message of few fields, written directly."""

from __future__ import annotations

from collections.abc import Sequence

# The fields' numbers in LlmMetadata, TokenUnion, TokenIds and LlmModelType.
_START_TOKEN, _STOP_TOKENS, _LONGEST, _MODEL_TYPE, _TEMPLATE, _THINKING, _FUNCTIONS = 1, 2, 5, 6, 7, 11, 12
_TOKEN_IDS, _IDS, _GENERIC_MODEL = 1, 1, 1
_VARINT, _BYTES = 0, 2


def encode(
    context: int, start_token: int | None, stop_tokens: Sequence[int], template: str | None = None, *,
    thinking: bool = False,
) -> bytes:  # fmt: skip
    """The message. context: the longest text in tokens; template: in Jinja; thinking: if it can ask for thoughts."""
    parts = [] if start_token is None else [_message(_START_TOKEN, _token(start_token))]
    parts += [_message(_STOP_TOKENS, _token(token)) for token in stop_tokens]
    parts += [_number(_LONGEST, context), _message(_MODEL_TYPE, _message(_GENERIC_MODEL, b""))]
    parts += [] if template is None else [_message(_TEMPLATE, template.encode())]
    return b"".join([*parts, _number(_THINKING, int(thinking)), _number(_FUNCTIONS, 0)])


def _token(token: int) -> bytes:
    return _message(_TOKEN_IDS, _message(_IDS, _varint(token)))


def _message(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(content)) + content


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _varint(value: int) -> bytes:
    """Seven bits a byte, the lowest first, with a bit that says whether more follow."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
