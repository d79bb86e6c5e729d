"""What the drafting benchmark lets a model write: answers to everyday questions, and stories from their beginnings.

Both sets were written for this repository.
"""

from __future__ import annotations

QUESTIONS = (
    "How do I keep basil alive in a small kitchen?",
    "What happens inside a dishwasher?",
    "Write a message to my neighbour about the noise last night.",
    "Which clothes should I take to Norway in May?",
    "Explain what a mortgage is.",
    "Tell me a story about a clock that runs backwards.",
    "Write a function in Python that counts the vowels of a word.",
    "Why do leaves change their colour?",
    "How can I remember people's names?",
    "Compare trains and planes for a trip of 600 kilometres.",
    "What did people eat in ancient Rome?",
    "Give me three ideas for a rainy Sunday with children.",
    "How does a bicycle stay upright?",
    "Write a short poem about an empty harbour.",
    "What is the difference between a virus and a bacterium?",
    "How do I cook rice without a rice cooker?",
    "Plan a week of training for a first run of ten kilometres.",
    "Summarize how a bill becomes a law.",
    "What makes bread rise?",
    "Describe a night market to somebody who has never seen one.",
    "How do I ask my boss for more money?",
    "List the parts of a cell and say what each does.",
    "What is an index of a database good for?",
    "How do glaciers move?",
)

BEGINNINGS = (
    "The lamp in the lighthouse had been dark for nine years when the new keeper",
    "My grandmother never spoke about the winter of the flood, but her sister",
    "At the end of the street there was a shop that sold only maps, and its owner",
    "The train stopped between two stations, and after a while the conductor",
    "Nobody in the village could say when the bell had begun to ring by itself, but",
    "The first settlers of the valley came over the pass in the spring because",
    "Rivers shape the land through which they flow in several ways. In the mountains",
    "Before paper was cheap, most people wrote on whatever was at hand, and so",
    "She had learned three things about the sea: that it is never quiet, that",
    "When the factory closed, half of the town moved away, and those who stayed",
    "The history of the bicycle begins with a machine that had no pedals, which",
    "In the garden behind the museum an old man was feeding birds while his dog",
)
