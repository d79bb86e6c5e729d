"""Whether `ignore_merges` changes anything: only where a token can't be reached by merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tokenizers import Tokenizer, models

from farm.errors import ModelDamaged


def ignoring_merges_matters(
    vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]], added: Sequence[str]
) -> bool:
    """Whether some token of the vocabulary, as a piece of its own, is not what merging its letters gives."""
    try:
        by_merges = Tokenizer(models.BPE(vocab=dict(vocabulary), merges=list(merges)))
    # The package raises the bare class, whatever is wrong.
    except Exception as error:
        raise ModelDamaged("The tokenizer's merges do not fit its vocabulary; save the tokenizer again.") from error
    # Added tokens are found before anything is merged.
    found_before = set(added)
    pieces = [token for token in vocabulary if token not in found_before]
    return any(
        read.ids != [vocabulary[piece]] for piece, read in zip(pieces, by_merges.encode_batch_fast(pieces), strict=True)
    )
