"""How a job's app speaks to its model: which template, which mode, and which tokens end a turn."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from farm.appspec import AppSpec
from farm.chat import Chat, Exchange, Piece
from farm.errors import ChatTemplateUnusable
from farm.jobspec import IoMode
from farm.prompting import LONGEST_TEMPLATE, PLACE, Mode, Prompting
from pipeline.chat import sources
from pipeline.chat.reading import Extract, extract_apart, read_chat
from pipeline.chat.rendering import TemplateRefused
from pipeline.chat.sources import FoundTemplate
from pipeline.models.metadata import Metadata
from pipeline.tokenizers.codec import TextCodec
from pipeline.tokenizers.export import TokenizerExport

UNUSED = "The model's chat template is not used: {reason}. Give one that is as --chat-template FILE to get a chat."
NOT_A_MODE = "The model's chat template is not used in the I/O mode strings, whose app answers one text at a time."
NO_START = (
    "The chat template begins without the model's start token {start!r}, as its publisher wrote it; a conversation is"
    " read so."
)


@dataclass(frozen=True)
class Choice:
    """prompting: mode and template of single prompts. chat, template: None where the model has no template that can be
    used."""

    prompting: Prompting
    chat: Chat | None
    export: TokenizerExport
    notes: tuple[str, ...] = ()
    template: FoundTemplate | None = None


def choose(
    app: AppSpec, io_mode: IoMode, folder: Path, said: Metadata, export: TokenizerExport, family: str, name: str,
    extract: Extract = extract_apart,
) -> Choice:  # fmt: skip
    """Read the template and choose the mode: the job's, else the model's own, else a chat where there is a template.

    ChatTemplateUnusable where a chat was asked for and can't be had.
    """
    wanted = app.prompting(said.prompting)
    stated = app.mode is not None or app.prompt_template is not None
    stated = stated or bool({"mode", "prompt_template"} & said.model_fields_set)
    asked = app.chat_template is not None or (stated and wanted.mode is Mode.CHAT)
    codec = export.tokenizer
    if codec is None:
        if asked:
            raise ChatTemplateUnusable(
                "The farm has no tokenizer of this model's kind, and a chat needs one; leave --mode chat and"
                " --chat-template out."
            )
        return Choice(wanted, None, export)
    spelled = {number: text for text, number in codec.ids.items()}
    start = None if export.start_token is None else spelled.get(export.start_token)
    try:
        found = sources.find_template(folder, app.chat_template, start) or sources.of_family(family, name, asked=asked)
        if found is None or io_mode is IoMode.STRINGS:
            return _without(wanted, export, asked=asked, there=found is not None)
        chat, notes = read_chat(found, codec, thinking=app.thinking, extract=extract)
    except TemplateRefused as error:
        reason = str(error).rstrip(".")
        if asked:
            raise ChatTemplateUnusable(
                f"The chat template can't be used: {reason}; correct it, or choose another --mode."
            ) from error
        return Choice(wanted, None, export, (UNUSED.format(reason=reason),))
    if app.thinking and chat.thinking is None:
        raise ChatTemplateUnusable("The chat template has no thoughts to turn on; leave --thinking out.")
    if export.start_token is not None and export.start_token not in (*chat.begin, *chat.user.before, *chat.no_system):
        notes = (*notes, NO_START.format(start=start))
    export = export.with_stops(turn_ends(chat, codec))
    mode = wanted.mode if stated else Mode.CHAT
    template = wanted.prompt_template
    if mode is not Mode.COMPLETE and template == PLACE:
        template = single_question(chat, export, spelled)
    prompting = Prompting(mode=mode, prompt_template=template, prompts=wanted.prompts)
    return Choice(prompting, chat, export, notes, found)


def turn_ends(chat: Chat, codec: TextCodec) -> tuple[int, ...]:
    """The special token right behind an answer; none where text follows."""
    first = next((piece for piece in chat.assistant.after if not isinstance(piece, str) or piece.strip()), None)
    ends = first if isinstance(first, int) else None
    return () if ends is None or ends >= codec.vocabulary_size else (ends,)


def single_question(chat: Chat, export: TokenizerExport, spelled: dict[int, str]) -> str:
    """A conversation's beginning as the template of one prompt, without the start token, which comes before each."""
    pieces: list[Piece] = list(chat.pieces(None, [Exchange(PLACE)]))
    if export.start_token is not None and pieces[0] == export.start_token:
        del pieces[0]
    text = "".join(piece if isinstance(piece, str) else spelled[piece] for piece in pieces)
    return text if text.count(PLACE) == 1 and len(text) <= LONGEST_TEMPLATE else PLACE


def _without(wanted: Prompting, export: TokenizerExport, *, asked: bool, there: bool) -> Choice:
    if asked:
        raise ChatTemplateUnusable(
            "The model has no chat template in its files, and its family has none in the farm's table; give one as"
            " --chat-template FILE, or choose another --mode."
        )
    return Choice(wanted, None, export, (NOT_A_MODE,) if there and wanted.mode is Mode.COMPLETE else ())
