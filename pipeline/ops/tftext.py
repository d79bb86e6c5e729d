"""The names of TF Text's ops, as TensorFlow Text 2.19 registers them."""

from __future__ import annotations

PREFIX = "TFText>"

# Ops of TensorFlow's registry without the prefix; as a Flex operator they need a library that links TF Text.
TENSORFLOW_OPS = frozenset(
    "CaseFoldUTF8 ConstrainedSequence FastBertNormalize FastWordpieceTokenizeWithOffsets FindSourceOffsets"
    " MaxSpanningTree NormalizeUTF8 NormalizeUTF8WithOffsetsMap PhraseTokenize RegexSplitWithOffsets RougeL"
    " SentenceFragments SentenceFragmentsV2 SentencepieceDetokenizeOp SentencepieceIdToStringOp SentencepieceOp"
    " SentencepieceStringToIdOp SentencepieceTokenizeOp SentencepieceTokenizeWithOffsetsOp"
    " SentencepieceVocabSizeOp SplitMergeTokenizeWithOffsets TokenizerFromLogits UnicodeScriptTokenizeWithOffsets"
    " WhitespaceTokenizeWithOffsets WordpieceTokenizeWithOffsets".split()
)


def is_custom_op(name: str) -> bool:
    """Whether that is a custom operator of TF Text's own registrar for TFLite."""
    return name.startswith(PREFIX)
