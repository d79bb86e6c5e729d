"""The tensor contract of the I/O mode `tokens`, read from a file's signatures and checked.

Signatures `prefill_<n>` and `decode`; `tokens` int32 [1,n], `input_pos` int32 [n], caches `kv_cache_k_<i>` and
`kv_cache_v_<i>` float32 [1,heads,T,D] under the same names in and out, `logits` float32 [1,1,V] from `decode`. This is
LiteRT-LM's contract without the optional mask. Beyond it there may be one `score_<n>` with `logits` [1,n,V], which
reads drafted tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from farm.errors import FileUnreadable

TOKENS = "tokens"
POSITIONS = "input_pos"
LOGITS = "logits"
DECODE = "decode"

_PREFILL = re.compile(r"prefill_([1-9][0-9]*)")
_VERIFY = re.compile(r"score_([1-9][0-9]*)")


@dataclass(frozen=True)
class TensorShape:
    """A tensor's element type by its numpy name, and its sizes."""

    dtype: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class SignatureShape:
    """A signature's tensors by the names that it gives them."""

    inputs: Mapping[str, TensorShape]
    outputs: Mapping[str, TensorShape]


@dataclass(frozen=True)
class Contract:
    """The sizes of a model. prefill: the lengths of its prefill signatures, ascending; verify: that of its verify
    signature, None where it has none."""

    context: int
    layers: int
    kv_heads: int
    head_dim: int
    vocabulary_size: int
    prefill: tuple[int, ...]
    verify: int | None = None

    @property
    def caches(self) -> tuple[str, ...]:
        """The caches' names."""
        return tuple(f"kv_cache_{kind}_{layer}" for layer in range(self.layers) for kind in "kv")

    @property
    def cache_sizes(self) -> tuple[int, int, int, int]:
        """A cache's [1,H,T,D]."""
        return (1, self.kv_heads, self.context, self.head_dim)

    def expected(self, length: int, with_logits: bool) -> SignatureShape:
        """What a signature over `length` tokens must look like."""
        caches = dict.fromkeys(self.caches, TensorShape("float32", self.cache_sizes))
        tokens = {TOKENS: TensorShape("int32", (1, length)), POSITIONS: TensorShape("int32", (length,))}
        logits = {LOGITS: TensorShape("float32", (1, length, self.vocabulary_size))} if with_logits else {}
        return SignatureShape(tokens | caches, caches | logits)


def read_contract(signatures: Mapping[str, SignatureShape], where: str) -> Contract:
    """The model's sizes; FileUnreadable names the first tensor that does not fit."""
    if DECODE not in signatures:
        found = ", ".join(sorted(signatures)) or "none"
        raise FileUnreadable(f"{where} has no signature named decode (it has {found}); give a model made by the farm.")
    decode = signatures[DECODE]
    first_cache = decode.inputs.get("kv_cache_k_0", TensorShape("", ()))
    logits = decode.outputs.get(LOGITS, TensorShape("", ()))
    if len(first_cache.sizes) != 4 or len(logits.sizes) != 3:
        raise FileUnreadable(
            f"{where} lacks kv_cache_k_0 of four dimensions or logits of three in decode; give a model of the farm."
        )
    lengths = _lengths(signatures, _PREFILL)
    verified = _lengths(signatures, _VERIFY)
    contract = Contract(
        context=first_cache.sizes[2],
        layers=sum(name.startswith("kv_cache_k_") for name in decode.inputs),
        kv_heads=first_cache.sizes[1],
        head_dim=first_cache.sizes[3],
        vocabulary_size=logits.sizes[2],
        prefill=tuple(sorted(lengths)),
        verify=max(verified, default=None),
    )
    _require_equal(decode, contract.expected(1, with_logits=True), DECODE, where)
    for length, name in lengths.items():
        _require_equal(signatures[name], contract.expected(length, with_logits=False), name, where)
    for length, name in verified.items():
        _require_equal(signatures[name], contract.expected(length, with_logits=True), name, where)
    return contract


def _lengths(signatures: Mapping[str, SignatureShape], pattern: re.Pattern[str]) -> dict[int, str]:
    return {int(match[1]): name for name in signatures if (match := pattern.fullmatch(name))}


def _require_equal(actual: SignatureShape, expected: SignatureShape, signature: str, where: str) -> None:
    for side, found, wanted in (
        ("input", actual.inputs, expected.inputs),
        ("output", actual.outputs, expected.outputs),
    ):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                raise FileUnreadable(
                    f"{where} has the {side} {name} of {signature} as {_words(found.get(name))} instead of"
                    f" {_words(wanted.get(name))}; give a model made by the farm."
                )


def _words(shape: TensorShape | None) -> str:
    return "nothing" if shape is None else f"{shape.dtype}[{','.join(map(str, shape.sizes))}]"
