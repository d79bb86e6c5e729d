"""A tokenizer that the farm does not write, named by its setting."""

from __future__ import annotations


class TokenizerUnusable(Exception):
    """`setting`, a noun phrase, has no equal in the farm's `tokenizer.json`; the job ends at the verified file."""

    def __init__(self, setting: str) -> None:
        super().__init__(setting)
        self.setting = setting
