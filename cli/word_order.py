"""The words of a command line in the order that the parser wants: options may stand before and after the verb."""

from __future__ import annotations

from collections.abc import Collection, Sequence

# Options of `farm` itself that are followed by a value, and those of it that are not.
WITH_VALUE = frozenset({"--profile"})
OF_FARM = frozenset({*WITH_VALUE, "--version", "--help", "-h", "--install-completion", "--show-completion"})
# Other names of commands, as people try them.
ALIASES = {"ls": "list", "delete": "rm", "remove": "rm"}


def arrange(words: Sequence[str], commands: Collection[str]) -> list[str]:
    """Options of `farm` itself first, then the verb, then the verb's own, which may have stood before it.

    `farm help [COMMAND]` and `farm version` become the options of these names.
    """
    of_farm, rest = _split(list(words))
    place = next((number for number, word in enumerate(rest) if word in commands or word in ALIASES), None)
    first = rest[0] if rest else ""
    if first == "help" and len(rest) <= 2:
        return [*of_farm, *(_names(rest[1:])), "--help"]
    if first == "version" and len(rest) == 1:
        return [*of_farm, "--version"]
    if place is None or not all(each.startswith("-") or number for number, each in enumerate(rest[:place])):
        return [*of_farm, *rest]
    return [*of_farm, *_names(rest[place : place + 1]), *rest[:place], *rest[place + 1 :]]


def _names(words: Sequence[str]) -> list[str]:
    return [ALIASES.get(word, word) for word in words]


def _split(words: list[str]) -> tuple[list[str], list[str]]:
    """`--profile NAME` from wherever it stands before `--`, and what is of `farm` itself where it begins."""
    of_farm: list[str] = []
    rest: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--":
            return of_farm, [*rest, word, *words]
        if word.partition("=")[0] in WITH_VALUE:
            of_farm += [word] if "=" in word else [word, *words[:1]]
            words = words if "=" in word else words[1:]
        elif word in OF_FARM and not rest:
            of_farm.append(word)
        else:
            rest.append(word)
    return of_farm, rest
