"""Whether the signatures for LiteRT-LM write what verification has seen the farm's own write."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from farm.errors import QualityMissed
from farm.native_output import stdout_suppressed
from pipeline.inference.contract import DECODE, LOGITS, POSITIONS, TOKENS, Contract
from pipeline.inference.growth import mask
from pipeline.inference.token_model import Float32
from pipeline.litert_lm.signatures import MASK, PREFILL


class LiteRtLmModel:
    """A file with these signatures, called as LiteRT-LM calls them, with caches of `rows` rows."""

    def __init__(self, path: Path, contract: Contract, rows: int, threads: int = 1) -> None:
        with stdout_suppressed():
            interpreter = Interpreter(str(path), num_threads=threads)
            self._runners = {name: interpreter.get_signature_runner(name) for name in (PREFILL, DECODE)}
        names = (f"kv_cache_{kind}_{layer}" for layer in range(contract.layers) for kind in "kv")
        shape = (1, contract.kv_heads, rows, contract.head_dim)
        self._caches: dict[str, Any] = {name: np.zeros(shape, np.float32) for name in names}
        self._rows, self._position = rows, 0

    def prefill(self, tokens: Sequence[int]) -> None:
        """Read tokens."""
        self._call(PREFILL, tokens)

    def step(self, token: int) -> Float32:
        """Read one token; the logits [V] of what comes next."""
        logits: Float32 = self._call(DECODE, (token,))[LOGITS].reshape(-1)
        return logits

    def _call(self, name: str, tokens: Sequence[int]) -> dict[str, Any]:
        given = {
            TOKENS: np.array([tokens], np.int32),
            POSITIONS: np.arange(self._position, self._position + len(tokens), dtype=np.int32),
            MASK: mask(self._position, len(tokens), self._rows, None)[None, None],
        }
        found: dict[str, Any] = self._runners[name](**given, **self._caches)
        self._caches = {cache: found[cache] for cache in self._caches}
        self._position += len(tokens)
        return found


def compare(
    path: Path, contract: Contract, prompt: Sequence[int], tokens: Sequence[int], margins: Sequence[float],
    near_tie: float, threads: int = 1,
) -> int:  # fmt: skip
    """How many of the tokens behind a prompt the file writes as well; QualityMissed for another that is no near-tie.

    margins: by how much the best logit led at each token.
    """
    model = LiteRtLmModel(path, contract, len(prompt) + len(tokens), threads)
    if len(prompt) > 1:
        model.prefill(prompt[:-1])
    last = prompt[-1]
    for place, (token, margin) in enumerate(zip(tokens, margins, strict=True)):
        written = int(model.step(last).argmax())
        if written != token:
            if margin < near_tie:
                return place
            raise QualityMissed(
                f"The signatures for LiteRT-LM write the token {written} where the verified one writes {token}, behind"
                f" {len(prompt) + place} tokens; report this with the job's log."
            )
        last = token
    return len(tokens)
