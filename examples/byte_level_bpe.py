"""Byte-level BPE vocabularies, trained with the tokenizers package."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

END_OF_TEXT = "<|endoftext|>"


@dataclass(frozen=True)
class Bpe:
    """`vocabulary`: token -> id; `merges`: best first, each two tokens joined by a space. Both as GPT-2 writes them."""

    vocabulary: dict[str, int]
    merges: list[str]

    @property
    def end_token(self) -> int:
        """The id of the end of a text: the last one, for a model whose end token has the padding id 0 stops at once."""
        return self.vocabulary[END_OF_TEXT]

    def tokenizer(self) -> Tokenizer:
        """The reference tokenizer: GPT-2's split of the text, no space put before it."""
        pairs = [(first, second) for first, second in (merge.split(" ") for merge in self.merges)]
        tokenizer = Tokenizer(models.BPE(vocab=self.vocabulary, merges=pairs))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
        tokenizer.decoder = decoders.ByteLevel()
        tokenizer.add_special_tokens([END_OF_TEXT])
        return tokenizer


def train(texts: Iterable[str], size: int, least_count: int = 2) -> Bpe:
    """A vocabulary of at most `size` tokens: all 256 bytes, the merges found in `texts`, the end of text last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    trainer = trainers.BpeTrainer(
        vocab_size=size - 1,
        min_frequency=least_count,
        special_tokens=[],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    vocabulary: dict[str, int] = model["vocab"]
    return Bpe({**vocabulary, END_OF_TEXT: len(vocabulary)}, [" ".join(pair) for pair in model["merges"]])
