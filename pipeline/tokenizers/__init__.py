"""Tokenizers: from what a model comes with to one `tokenizer.json`, and from that to tokens and text.

`byte_level` and `sentencepiece_bpe` are the kinds; `declared` reads a `tokenizer.json` of Transformers, `proto` a
SentencePiece file; `export` chooses among them; `codec` runs the result. No module here imports TensorFlow.
"""
