"""From a job's I/O mode to its weightless graph."""

from __future__ import annotations

from farm import digests
from farm.errors import UnsupportedFamily
from farm.jobspec import IoMode, JobSpec, SpecialTokens
from farm.tokenizer_kinds import PreTokenizer, Reader
from pipeline.conversion import graph_cache, static_form
from pipeline.conversion.byte_bpe import splitting, unicode_classes
from pipeline.conversion.byte_bpe.special_tokens import read_spellings
from pipeline.conversion.byte_bpe.tables import read_tables
from pipeline.conversion.graph_cache import CachedGraph
from pipeline.conversion.io_modes import bytes as bytes_mode
from pipeline.conversion.io_modes import strings as strings_mode
from pipeline.conversion.io_modes import tokens as tokens_mode
from pipeline.conversion.mapping import MappedModel
from pipeline.conversion.text_model import TextModel
from pipeline.inference.growth import FIRST_ROWS
from pipeline.request import StageRequest
from pipeline.tokenizers.export import TokenizerExport

# The prompt is read in pieces of the longest prefill length up to this one: longer ones waste work on short prompts.
LONGEST_PIECE = 32
# The sources that decide a graph with text in it, beside those of the I/O mode `tokens`.
TEXT_SOURCES = (
    "conversion/byte_bpe/*.py", "conversion/io_modes/*.py", "conversion/generation.py", "conversion/text_loops.py",
    "conversion/text_model.py", "conversion/drafting.py", "conversion/sampling.py", "tokenizers/byte_level.py",
)  # fmt: skip

# How the I/O modes with text in the graph make it.
CONVERTERS = {IoMode.BYTES: bytes_mode.convert, IoMode.STRINGS: strings_mode.convert}


def require_usable(spec: JobSpec, model: MappedModel, export: TokenizerExport) -> None:
    """UnsupportedFamily when the I/O mode needs a tokenizer in the graph and the model's can't be put there."""
    lacking = None if spec.io_mode is IoMode.TOKENS else export.missing(Reader.GRAPH)
    if lacking is not None:
        raise UnsupportedFamily(
            f"The I/O mode {spec.io_mode} puts the tokenizer into the graph, and no graph can do this yet, which the"
            f" model of the family {model.family} needs: {lacking}. Choose the I/O mode {IoMode.TOKENS}."
        )


def custom_operators(io_mode: IoMode) -> frozenset[str]:
    """The operators that the I/O mode's graph has beside the built-ins."""
    return strings_mode.FLEX_OPERATORS if io_mode is IoMode.STRINGS else frozenset()


def find_graph(
    request: StageRequest, model: MappedModel, export: TokenizerExport, stops: tuple[int, ...]
) -> CachedGraph:
    """The graph of the I/O mode and the model's architecture, from the farm's cache or newly converted."""
    spec, description = request.spec, model.description
    tokens_key = tokens_mode.key(description)
    if spec.io_mode is IoMode.TOKENS:
        found = graph_cache.find_graph(
            tokens_key,
            request.caches,
            request.adopt(graph_cache.CACHE),
            lambda: tokens_mode.convert(description),
        )
        if not spec.static_shapes:
            return found
        request.scratch.mkdir(parents=True, exist_ok=True)
        fixed = request.scratch / "static.tflite"
        fixed.write_bytes(
            static_form.fix_lengths(found.path.read_bytes(), description, spec.wanted_context, spec.prefill_lengths)
        )
        return CachedGraph(fixed, found.cached)
    settings = {
        "context": spec.wanted_context,
        "prefill": spec.prefill_lengths,
        "io_mode": spec.io_mode.value,
        "prompt_bytes": spec.prompt_bytes,
        "output_tokens": spec.longest_answer,
        "special_tokens": spec.special_tokens.value,
        "start_token": export.start_token,
        "stop_tokens": list(stops),
        "tokenizer": digests.of_bytes(export.content),
        "first_rows": FIRST_ROWS,
        "classes": digests.of_file(unicode_classes.TABLE),
    }
    return graph_cache.find_graph(
        graph_cache.io_mode_key(tokens_key, settings, TEXT_SOURCES),
        request.caches,
        request.adopt(graph_cache.CACHE),
        lambda: CONVERTERS[spec.io_mode](text_model(spec, model, export, stops)),
    )


def text_model(spec: JobSpec, model: MappedModel, export: TokenizerExport, stops: tuple[int, ...]) -> TextModel:
    """The model with its tokenizer as arrays."""
    lengths = spec.prefill_lengths
    return TextModel(
        description=model.description,
        tables=read_tables(export.content, model.description.vocabulary_size),
        pattern=splitting.find_pattern(export.split or PreTokenizer.GPT2),
        context=spec.wanted_context,
        prompt_bytes=spec.prompt_bytes,
        output_tokens=spec.longest_answer,
        piece=max((length for length in lengths if length <= LONGEST_PIECE), default=min(lengths)),
        start_token=export.start_token,
        stop_tokens=stops,
        first_rows=FIRST_ROWS,
        spellings=read_spellings(export.content, special=spec.special_tokens is SpecialTokens.READ),
    )
