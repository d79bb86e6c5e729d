"""Make a GPT-2 of any size with random weights, as a KerasHub preset folder: for benchmarks and tests.

    python -m examples.random_gpt2 FOLDER [--layers 12 --hidden 768 --heads 12 --vocabulary 50257 --positions 1024]

The defaults are those of GPT-2 base. Its tokenizer is a real one, trained on the sources of the standard library.
"""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import keras_hub
import numpy as np

from examples.byte_level_bpe import Bpe, train


def make(
    folder: Path,
    *,
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    vocabulary: int = 50257,
    positions: int = 1024,
    seed: int = 0,
    scale: float = 0.02,
) -> None:
    """Write the preset. `scale`: standard deviation of the weights; biases and gains vary by as much.

    Small weights hide faults: with GPT-2's own 0.02 every position's answer is nearly the same.
    """
    bpe = vocabulary_of_sources(vocabulary)
    backbone = keras_hub.models.GPT2Backbone(
        vocabulary_size=vocabulary,
        num_layers=layers,
        num_heads=heads,
        hidden_dim=hidden,
        intermediate_dim=4 * hidden,
        max_sequence_length=positions,
    )
    generator = np.random.default_rng(seed)
    for weight in backbone.weights:
        values = scale * generator.standard_normal(weight.shape, np.float32)
        weight.assign(1 + values if weight.path.endswith("gamma") else values)
    tokenizer = keras_hub.models.GPT2Tokenizer(vocabulary=bpe.vocabulary, merges=bpe.merges)
    preprocessor = keras_hub.models.GPT2CausalLMPreprocessor(tokenizer, sequence_length=positions)
    model = keras_hub.models.GPT2CausalLM(backbone=backbone, preprocessor=preprocessor)
    model.save_to_preset(str(folder))


def vocabulary_of_sources(size: int) -> Bpe:
    """Exactly `size` tokens; 9 seconds for GPT-2's 50,257. ValueError when the sources do not give that many."""
    bpe = train(_sources(enough=600 * size), size, least_count=1)
    if len(bpe.vocabulary) != size:
        raise ValueError(f"the standard library's sources give {len(bpe.vocabulary)} tokens, not {size}")
    return bpe


def _sources(enough: int) -> Iterator[str]:
    """Source files of the standard library until there are `enough` characters."""
    root = Path(sysconfig.get_path("stdlib"))
    taken = 0
    for path in sorted(root.rglob("*.py")):
        if taken < enough and {"site-packages", "dist-packages"}.isdisjoint(path.parts):
            text = path.read_text(errors="replace")
            taken += len(text)
            yield text


def main() -> None:
    """Make one by the command line's words."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    for name, value in (("layers", 12), ("hidden", 768), ("heads", 12), ("vocabulary", 50257), ("positions", 1024)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--scale", type=float, default=0.02)
    arguments = parser.parse_args()
    make(**vars(arguments))
    print(f"made {arguments.folder}")


if __name__ == "__main__":
    main()
