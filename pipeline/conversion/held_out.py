"""Fixed texts that no model of the farm is trained on: one to measure perplexity with, some to be continued."""

from __future__ import annotations

# Short, so that they fit into small contexts and cost little with large models.
GOLDEN_PROMPTS = (
    "The list type",
    "Once upon a time there was",
    "In 1969, 3 people went",
    "def main(args):\n    return",
)

HELD_OUT_TEXT = """\
The ferry left the landing a little after six, when the fog still lay on the river and the far bank
could only be drafted at. Old Marta stood at the rail with her basket of plums and counted the
strokes of the engine, as she had done every market day for thirty years. "You could set a clock by
her," the pilot liked to say, "if anybody here still had one." He knew each sandbank by the colour
of the water above it, and he did not trust the new chart that the harbour office had sent him,
because it showed the channel where it had been before the flood.

Halfway across, the sun broke through. Two boys who had hidden among the crates came out and sat on
the warm deck, and for a while nobody asked them for their fare. They were going to see the bridge,
they said, the iron one with the lamps, which their uncle had helped to build and which was going to
make the ferry useless by winter. The pilot laughed at that, but not for long. He looked at his
hands on the wheel, then at the grey towers in the distance, and slowed the engine down, so that the
crossing took ten minutes longer than it should have. Nobody complained. On the other side the
buyers were already waiting with their carts, the church bell rang the half hour, and the price of
plums had gone up since Tuesday.
"""
