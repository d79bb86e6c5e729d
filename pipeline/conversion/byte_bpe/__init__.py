"""Byte-level BPE inside the graph, from UTF-8 bytes to tokens and back, with TFLite's built-in operators only.

`unicode_classes` says what a code point is, `tables` makes arrays of a `tokenizer.json`, `splitting` finds where the
pieces of a text begin, `special_tokens` which of it are special tokens, `encoder` merges, `detokenizer` goes back.
"""
