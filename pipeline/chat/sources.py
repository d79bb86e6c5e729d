"""Where a model's chat template is: in its files, or in the farm's table of families."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.chat import families
from pipeline.chat.rendering import TemplateRefused, TemplateText
from pipeline.models import jsonfile
from pipeline.tokenizers import stop_tokens

CONFIG = stop_tokens.TOKENIZER_CONFIG
JINJA, JSON = "chat_template.jinja", "chat_template.json"
DEFAULT = "default"
OPTION = "--chat-template"


@dataclass(frozen=True)
class FoundTemplate:
    """A template and where it was found."""

    template: TemplateText
    source: str


def find_template(folder: Path, own: str | None, start: str | None) -> FoundTemplate | None:
    """The template that was handed in, or the first in the model's files; None without one. TemplateRefused for several
    of which none is the default.

    own: what came with the job. start: how the model's start token is spelled, where its files do not say.
    """
    config = stop_tokens.read_json(folder / CONFIG)
    tokens = {name: text for name in families.TOKEN_NAMES if (text := stop_tokens.token_text(config.get(name)))}
    if start is not None:
        tokens.setdefault("bos_token", start)
    if own is not None:
        return FoundTemplate(TemplateText(own, tokens), OPTION)
    if (folder / JINJA).is_file():
        return FoundTemplate(TemplateText(_read_text(folder / JINJA), tokens), JINJA)
    for name, said in ((JSON, stop_tokens.read_json(folder / JSON)), (CONFIG, config)):
        if text := _chosen(said.get("chat_template"), name):
            return FoundTemplate(TemplateText(text, tokens), name)
    return None


def of_family(family: str, name: str, *, asked: bool) -> FoundTemplate | None:
    """The template of a family's published instruct models, as `families.find_row`; None where the table lacks it."""
    row = families.find_row(family, name, asked=asked)
    return None if row is None else FoundTemplate(TemplateText(row.template), f"the farm's table ({family})")


def _chosen(stated: Any, name: str) -> str | None:
    """A template, or the default of several."""
    if isinstance(stated, str):
        return stated
    if not isinstance(stated, list):
        return None
    named = {each.get("name"): each.get("template") for each in stated if isinstance(each, Mapping)}
    if not named:
        return None
    chosen = named.get(DEFAULT) if DEFAULT in named or len(named) > 1 else next(iter(named.values()))
    if not isinstance(chosen, str):
        raise TemplateRefused(f"{name} has {len(named)} templates, none of which is named {DEFAULT!r}")
    return chosen


def _read_text(path: Path) -> str:
    content = path.read_bytes()
    if len(content) > jsonfile.CONFIG_BYTES:
        raise TemplateRefused(f"the file has {len(content)} bytes, more than any template needs")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise TemplateRefused(f"the file is not UTF-8 (byte {error.start})") from error
