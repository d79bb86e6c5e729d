"""The tensor contract of the I/O mode `tokens`, read from a file's signatures and checked.

The dynamic form has one signature `run`, whose inputs the caller resizes to the n tokens of a call, the T rows of the
caches and the r tokens whose logits are wanted: `tokens` int32 [1,n], `input_pos` int32 [n] from the first token's
position on, `rows` int32 [r] of 0 to n-1, `mask` float32 [1,1,n,T] to be added to the scores, caches `kv_cache_k_<i>`
and `kv_cache_v_<i>` float32 [1,heads,T,D] under the same names in and out, `logits` float32 [1,r,V] out. Layers with an
attention window W have `window_<W>_mask`, `window_<W>_k_<i>` and `window_<W>_v_<i>` instead, with a T of their own, and
`window_<W>_start` int32 [1] is the row that the first token is written to.

The static form has signatures `prefill_<n>` and `decode`; `tokens` int32 [1,n], `input_pos` int32 [n], caches
`kv_cache_k_<i>` and `kv_cache_v_<i>` float32 [1,heads,T,D] under the same names in and out, `logits` float32 [1,1,V]
from `decode`. This is LiteRT-LM's contract without the optional mask. Beyond it there may be one `score_<n>` with
`logits` [1,n,V], which reads drafted tokens.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from farm.errors import FileUnreadable

TOKENS = "tokens"
POSITIONS = "input_pos"
ROWS = "rows"
LOGITS = "logits"
DECODE = "decode"
RUN = "run"
# A size that the caller decides.
ANY = -1
# The longest text of a dynamic file where nobody says how long it may be.
NO_LIMIT = 1 << 20

_PREFILL = re.compile(r"prefill_([1-9][0-9]*)")
_VERIFY = re.compile(r"score_([1-9][0-9]*)")
_KEYS = re.compile(r"(?:kv_cache|window_([1-9][0-9]*))_k_(0|[1-9][0-9]*)")


@dataclass(frozen=True)
class TensorShape:
    """A tensor's element type by its numpy name, and its sizes, ANY for those that the caller decides."""

    dtype: str
    sizes: tuple[int, ...]


@dataclass(frozen=True)
class SignatureShape:
    """A signature's tensors by the names that it gives them."""

    inputs: Mapping[str, TensorShape]
    outputs: Mapping[str, TensorShape]


@dataclass(frozen=True)
class Contract:
    """The sizes of a model. context: the longest text. prefill: the lengths of its prefill signatures, ascending;
    verify: that of its score signature, None where it has none; windows: each layer's attention window, None for a
    layer that sees everything. Prefill and verify are of the static form alone, which says nothing of windows."""

    context: int
    layers: int
    kv_heads: int
    head_dim: int
    vocabulary_size: int
    prefill: tuple[int, ...] = ()
    verify: int | None = None
    windows: tuple[int | None, ...] | None = None

    @property
    def dynamic(self) -> bool:
        """Whether the caller decides the lengths."""
        return self.windows is not None

    @property
    def caches(self) -> tuple[str, ...]:
        """The caches' names."""
        windows = self.windows or (None,) * self.layers
        return tuple(
            f"kv_cache_{kind}_{layer}" if window is None else f"window_{window}_{kind}_{layer}"
            for layer, window in enumerate(windows)
            for kind in "kv"
        )

    @property
    def row_bytes(self) -> int:
        """What a token takes in the caches of all layers."""
        return 2 * 4 * self.layers * self.kv_heads * self.head_dim

    @property
    def cache_sizes(self) -> tuple[int, int, int, int]:
        """A cache's [1,H,T,D] in the static form."""
        return (1, self.kv_heads, self.context, self.head_dim)

    @property
    def run(self) -> SignatureShape:
        """What the dynamic form's signature must look like."""
        cache = TensorShape("float32", (1, self.kv_heads, ANY, self.head_dim))
        caches = dict.fromkeys(self.caches, cache)
        inputs = {
            TOKENS: TensorShape("int32", (1, ANY)),
            POSITIONS: TensorShape("int32", (ANY,)),
            ROWS: TensorShape("int32", (ANY,)),
        }
        for window in set(self.windows or ()):
            inputs[mask_name(window)] = TensorShape("float32", (1, 1, ANY, ANY))
            if window is not None:
                inputs[start_name(window)] = TensorShape("int32", (1,))
        logits = {LOGITS: TensorShape("float32", (1, ANY, self.vocabulary_size))}
        return SignatureShape(inputs | caches, caches | logits)

    def expected(self, length: int, with_logits: bool) -> SignatureShape:
        """What a signature over `length` tokens must look like."""
        caches = dict.fromkeys(self.caches, TensorShape("float32", self.cache_sizes))
        tokens = {TOKENS: TensorShape("int32", (1, length)), POSITIONS: TensorShape("int32", (length,))}
        logits = {LOGITS: TensorShape("float32", (1, length, self.vocabulary_size))} if with_logits else {}
        return SignatureShape(tokens | caches, caches | logits)


def mask_name(window: int | None) -> str:
    """The input with the mask of the layers of an attention window, None for those that see everything."""
    return "mask" if window is None else f"window_{window}_mask"


def start_name(window: int) -> str:
    """The input with the row that the first token is written to in a window's caches."""
    return f"window_{window}_start"


def read_contract(signatures: Mapping[str, SignatureShape], where: str, context: int | None = None) -> Contract:
    """The model's sizes; FileUnreadable names the first tensor that does not fit.

    context: the longest text of a model in the dynamic form, which does not say so itself.
    """
    if RUN in signatures:
        return _read_dynamic(signatures[RUN], where, NO_LIMIT if context is None else context)
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


def _read_dynamic(run: SignatureShape, where: str, context: int) -> Contract:
    windows: dict[int, int | None] = {}
    for name in run.inputs:
        if match := _KEYS.fullmatch(name):
            windows[int(match[2])] = None if match[1] is None else int(match[1])
    layers = tuple(windows[layer] for layer in sorted(windows))
    contract = Contract(context, len(layers), 0, 0, 0, windows=layers)
    first = run.inputs.get((*contract.caches, "")[0], TensorShape("", ()))
    logits = run.outputs.get(LOGITS, TensorShape("", ()))
    if len(first.sizes) != 4 or len(logits.sizes) != 3 or sorted(windows) != list(range(len(windows))):
        raise FileUnreadable(
            f"{where} lacks a layer's caches of four dimensions or logits of three in run; give a model of the farm."
        )
    _, kv_heads, _, head_dim = first.sizes
    contract = replace(contract, kv_heads=kv_heads, head_dim=head_dim, vocabulary_size=logits.sizes[2])
    _require_equal(run, contract.run, RUN, where)
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
