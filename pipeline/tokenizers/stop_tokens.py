"""The set of tokens that end an answer, gathered from everything that names one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from farm.errors import ModelDamaged
from farm.prompting import PLACE, Prompting
from pipeline.models import jsonfile
from pipeline.tokenizers.codec import TextCodec

Json = Any

END_OF_TURN = "<end_of_turn>"
# KerasHub stops on these, too, where the vocabulary has them: Llama 3's and Gemma 3's ends of a turn.
TURN_ENDS = {"llama": "<|eot_id|>", "gemma3": END_OF_TURN, "gemma3_text": END_OF_TURN}
ID_FILES = ("generation_config.json", "config.json")
TOKENIZER_CONFIG = "tokenizer_config.json"


def of_keras(tokenizer: Any) -> tuple[int, ...]:
    """What KerasHub's `generate()` stops on when it is not told: the end tokens that the tokenizer names, and
    Gemma 3's end of a turn."""
    found = [getattr(tokenizer, name, None) for name in ("end_token_id", "end_token2_id")]
    if type(tokenizer).__name__.startswith("Gemma3"):
        number = int(tokenizer.token_to_id(END_OF_TURN))
        # An unknown piece's id stands for a token that is not there.
        found.append(number if tokenizer.id_to_token(number) == END_OF_TURN else None)
    return tuple(int(number) for number in found if number is not None)


def of_transformers(folder: Path, ids: Mapping[str, int]) -> tuple[int, ...]:
    """What a checkpoint's files name; `ids` of its tokens. ModelDamaged for an id that is none."""
    found = [number for name in ID_FILES for number in _stated_ids(folder / name)]
    content = token_text(read_json(folder / TOKENIZER_CONFIG).get("eos_token"))
    contents = (content, TURN_ENDS.get(str(read_json(folder / "config.json").get("model_type"))))
    found += [ids[content] for content in contents if content is not None and content in ids]
    return tuple(found)


def of_template(prompting: Prompting, codec: TextCodec) -> tuple[int, ...]:
    """The special token that stands right behind the question, which ends a turn; none where text follows."""
    behind = prompting.prompt_template.partition(PLACE)[2].lstrip()
    starts = [token for token in codec.special_tokens if behind.startswith(token)]
    return (codec.encode(max(starts, key=len))[0],) if starts else ()


def token_text(stated: Json) -> str | None:
    """A token as Transformers writes it: its text, or an object with its content."""
    if isinstance(stated, Mapping):
        stated = stated.get("content")
    return stated if isinstance(stated, str) and stated else None


def read_json(path: Path) -> Mapping[str, Json]:
    """A file's object; an empty one where there is no such file."""
    if not path.is_file():
        return {}
    value = jsonfile.parse(path.read_bytes(), path.name)
    return value if isinstance(value, Mapping) else {}


def _stated_ids(path: Path) -> Iterator[int]:
    stated = read_json(path).get("eos_token_id")
    for number in stated if isinstance(stated, list) else [stated]:
        if number is None:
            continue
        if type(number) is not int or number < 0:
            raise ModelDamaged(f"{path.name} names the end token {str(number)[:40]!r}; give ids of tokens there.")
        yield number
