"""`farm recipes`."""

from __future__ import annotations

from rich.text import Text

from cli.arguments import AsJson
from cli.json_views import recipe_object
from cli.tables import plain_table
from cli.terminal import open_terminal
from farm.recipes import RECIPES


def command(as_json: AsJson = False) -> None:
    """List the quantization recipes and their limits."""
    terminal = open_terminal(as_json)
    if as_json:
        terminal.write_json([recipe_object(recipe) for recipe in RECIPES])
        return
    names = plain_table("recipe", "full name", "what it is")
    limits = plain_table("recipe", "size", "divergence", "top-1", "perplexity", "greedy",
                         right=("size", "divergence", "top-1", "perplexity", "greedy"))  # fmt: skip
    for recipe in RECIPES:
        names.add_row(Text(recipe.alias, "bold"), recipe.name, recipe.summary)
        limits.add_row(
            Text(recipe.alias, "bold"),
            f"{recipe.size_ratio * 100:g} %",
            f"\u2264 {recipe.limits.divergence:g}",
            f"\u2265 {recipe.limits.top1_agreement * 100:g} %",
            f"\u2264 x {recipe.limits.perplexity_ratio:g}",
            f"\u2265 {recipe.limits.greedy_agreement * 100:g} %",
        )
    terminal.show(names)
    terminal.show("")
    terminal.show(limits)
    terminal.remark("\nSize against float32; the limits are what a job's .tflite must reach against Keras.")
