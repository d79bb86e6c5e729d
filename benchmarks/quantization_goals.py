"""The goals of the recipes, and the tables of what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from benchmarks.quantization_file import Made
from benchmarks.quantization_speed import PROMPT, READ, Times
from benchmarks.rows import Row
from pipeline.inference.divergence import Divergence

GIB = 1 << 30
# By model and recipe: divergence, perplexity ratio, and bytes of those in float32, at most.
GOALS = {
    "smollm2": {
        "int8": (0.005, 1.006, 0.256), "full-int8": (0.02, 1.02, 0.26), "int4": (0.065, 1.05, 0.17),
        "int4-small": (None, None, 0.145),
    },
    "gemma3_270m": {
        "int8": (0.005, 1.005, 0.256), "full-int8": (0.02, 1.02, 0.26), "int4": (0.055, 1.04, 0.20),
        "int4-small": (None, None, 0.145),
    },
}  # fmt: skip
# A recipe, what it is compared with, and the largest share.
OF_PLAIN = (("int8", "int8-plain", 0.12), ("int4", "int4-plain", 0.3))
OF_RIVAL = (("int8", "Q8_0"), ("int4", "Q4_K_M"))
STEPS_OF_PLAIN = (("int8", "int8-plain", 1.05), ("int4", "int4-plain", 1.06))
FASTER = (("int8", "Q8_0", 1.25), ("int4", "Q4_0", 1.4))
FASTER_READING = 2.0
JVM_OF_PYTHON = 0.9
# Of preparing int4: seconds of two processors, and bytes.
INT4_SECONDS, INT4_MEMORY = 120, 3
INT8_TIMES_PLAIN = 2.0


@dataclass(frozen=True)
class Measured:
    """One file. whole: bytes of the model's weights in float32. made: what making it took, None of llama.cpp's. times:
    None where nothing was timed."""

    quality: Divergence
    file_bytes: int
    whole: int
    made: Made | None
    times: Times | None

    @property
    def share(self) -> float:
        """Of the bytes in float32."""
        return self.file_bytes / self.whole

    @property
    def step(self) -> float:
        """Seconds, the best turn's; 0 where nothing was timed."""
        return 0.0 if self.times is None else min(self.times.step)


def measured_table(found: Mapping[str, Measured]) -> list[str]:
    """A line a file."""
    return [
        "| file | divergence | perplexity ratio | top-1 | size | of float32 | prepared | all | memory | a step"
        f" | reading {PROMPT} | reading {READ} |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
        *(f"| {' | '.join(_cells(name, one))} |" for name, one in found.items()),
    ]


def _cells(name: str, one: Measured) -> Iterator[str]:
    yield f"llama.cpp {name}" if one.made is None else f"`{name}`"
    quality = one.quality
    yield f"{quality.mean:.4f}"
    yield f"{quality.ratio:.4f} +- {quality.ratio_error:.4f}"
    yield f"{quality.top1_agreement:.1%}"
    yield f"{one.file_bytes / 1e6:.1f} MB"
    yield f"{one.share:.3f}"
    yield from (
        ("", "", "")
        if one.made is None
        else (f"{one.made.prepare:.0f} s", f"{one.made.whole:.0f} s", f"{one.made.memory / GIB:.1f} GiB")
    )
    yield from (
        ("", "", "")
        if one.times is None
        else (f"{1e3 * min(seconds):.2f} ms" for seconds in (one.times.step, one.times.prompt, one.times.read))
    )


def rows(model: str, found: Mapping[str, Measured], jvm: tuple[float, float] | None) -> Iterator[Row]:
    """The goals, as far as what they speak of was measured; jvm: tokens a second on the JVM and in Python."""
    for name, (mean, ratio, share) in GOALS[model].items():
        if name in found:
            one = found[name]
            yield Row(f"{name}: divergence", mean, one.quality.mean, "nats")
            exact = f"{one.quality.ratio:.4f} +- {one.quality.ratio_error:.4f}"
            yield Row(f"{name}: perplexity ratio", ratio, one.quality.ratio, "", exact)
            yield Row(f"{name}: size", share, one.share, "of float32")
    for name, plain, most in OF_PLAIN:
        if name in found and plain in found:
            yield Row(
                f"{name}: divergence of {plain}'s", most, found[name].quality.mean / found[plain].quality.mean, ""
            )
    for name, rival in OF_RIVAL:
        if name in found and rival in found:
            mine, other = found[name], found[rival]
            yield Row(f"{name}: divergence of {rival}'s", 1, mine.quality.mean / other.quality.mean, "")
            yield Row(f"{name}: bytes of {rival}'s", 1, mine.file_bytes / other.file_bytes, "")
    yield from _cost(found)
    yield from _speed(found)
    if jvm is not None:
        said = f"{jvm[0]:.0f} against {jvm[1]:.0f} tokens/s, int8, with drafts"
        yield Row("the app's engine on the JVM, of Python's speed", JVM_OF_PYTHON, jvm[0] / jvm[1], "", said, True)


def _cost(found: Mapping[str, Measured]) -> Iterator[Row]:
    four, eight, plain = (getattr(found.get(name), "made", None) for name in ("int4", "int8", "int8-plain"))
    if four is not None:
        yield Row("int4: preparation", INT4_SECONDS, four.prepare, "s", "the processor's seconds, both cores together")
        yield Row("int4: memory of the whole process", INT4_MEMORY, four.memory / GIB, "GiB")
    if eight is not None and plain is not None:
        said = f"{eight.whole:.0f} s against {plain.whole:.0f} s from the model's files to the written one"
        yield Row("int8: time of int8-plain's", INT8_TIMES_PLAIN, eight.whole / plain.whole, "", said)


def _speed(found: Mapping[str, Measured]) -> Iterator[Row]:
    timed = {name: one for name, one in found.items() if one.times is not None}
    for name, plain, most in STEPS_OF_PLAIN:
        if name in timed and plain in timed:
            yield Row(f"{name}: a step of {plain}'s", most, timed[name].step / timed[plain].step, "")
    for name, rival, least in FASTER:
        if name in timed and rival in timed:
            mine, other = timed[name], timed[rival]
            said = f"{1 / mine.step:.0f} against {1 / other.step:.0f} tokens/s"
            yield Row(
                f"{name}: writing behind {PROMPT} tokens against {rival}", least, other.step / mine.step, "", said, True
            )
            assert mine.times is not None and other.times is not None
            for length, own, their in (
                (PROMPT, mine.times.prompt, other.times.prompt),
                (READ, mine.times.read, other.times.read),
            ):
                yield Row(
                    f"{name}: reading {length} tokens against {rival}", FASTER_READING, min(their) / min(own), "",
                    f"{length / min(own):.0f} against {length / min(their):.0f} tokens/s", True,
                )  # fmt: skip
