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
    table = plain_table("recipe", "full name", "size", "agreement", "logits", "perplexity", "what it is",
                        right=("size", "agreement", "logits", "perplexity"))  # fmt: skip
    for recipe in RECIPES:
        limits = recipe.limits
        table.add_row(
            Text(recipe.alias, "bold"),
            recipe.name,
            f"{recipe.size_ratio * 100:g} %",
            f"\u2265 {limits.greedy_agreement * 100:g} %",
            f"\u2264 {limits.logit_difference * 100:g} %",
            f"\u2264 x {limits.perplexity_ratio:g}",
            recipe.summary,
        )
    terminal.show(table)
    terminal.remark("\nSize against float32; the limits are what a job's .tflite must reach against Keras.")
