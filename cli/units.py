"""Figures as people read them: sizes, durations, ages, measures."""

from __future__ import annotations

from datetime import UTC, datetime

SIZE_UNITS = ("B", "kB", "MB", "GB", "TB")


def size(count: float) -> str:
    """Decimal units, three figures: 13245184 -> `13.2 MB`."""
    value = float(count)
    unit = SIZE_UNITS[0]
    for unit in SIZE_UNITS:
        if abs(value) < 999.5 or unit == SIZE_UNITS[-1]:
            break
        value /= 1000
    return f"{value:.0f} {unit}" if unit == "B" else f"{_three_figures(value)} {unit}"


def duration(seconds: float) -> str:
    """`45 ms`, `4.2 s`, `38 s`, `2 min 05 s`, `1 h 04 min`."""
    if seconds < 0.0995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def estimate(seconds: float) -> str:
    """A duration that nobody knows to a tenth: `5 s`, `2 min 05 s`; at least a second."""
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 60 else duration(whole)


def age(moment: datetime, now: datetime | None = None) -> str:
    """How long ago, in one unit: `now`, `12 s ago`, `5 min ago`, `3 h ago`, `2 days ago`."""
    seconds = int(((now or datetime.now(UTC)) - moment).total_seconds())
    if seconds < 1:
        return "now"
    for limit, step, unit in ((60, 1, "s"), (3600, 60, "min"), (2 * 86400, 3600, "h")):
        if seconds < limit:
            return f"{seconds // step} {unit} ago"
    return f"{seconds // 86400} days ago"


def percent(share: float) -> str:
    """A share of 0 to 1, never rounded up to all: 0.999 -> `99 %`."""
    return f"{int(share * 100)} %"


def measure(value: float, unit: str) -> str:
    """A measured figure with its unit."""
    if unit == "bytes":
        return size(value)
    if unit in ("s", "seconds"):
        return duration(value)
    if unit == "ms":
        return duration(value / 1000)
    if unit == "share":
        return f"{value * 100:.4g} %"
    if unit == "flag":
        return "yes" if value else "no"
    number = f"{value:.0f}" if float(value).is_integer() else f"{value:.4g}"
    return number if unit in ("", "1", "ratio", "count", "perplexity") else f"{number} {unit}"


def count(number: int, noun: str) -> str:
    """`1 job`, `2 jobs`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _three_figures(value: float) -> str:
    if value < 9.995:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 99.95 else f"{value:.0f}"
