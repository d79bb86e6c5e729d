"""Writes tiny checkpoints by Transformers itself, with its own logits beside each: run in an environment of its own.

    python write_checkpoints.py FOLDER

One folder a case, `logits.npy` and `tokens.npy` beside the files that `save_pretrained` wrote. Needs torch and
transformers, not the farm.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from cases import CASES

SEED = 20261130
TOKENS = 24


def main() -> None:
    """Write every case."""
    root = Path(sys.argv[1])
    for family, cases in CASES.items():
        for case, settings in cases.items():
            write(family, settings, root / f"{family}-{case}")


def write(family: str, settings: dict[str, object], folder: Path) -> None:
    """One checkpoint with lively weights, and its own logits after each of some tokens."""
    torch.manual_seed(SEED)
    # Llama's configuration class has no head_dim in this release; its model takes hidden_size / heads.
    config = getattr(transformers, f"{family}Config")(**settings, attn_implementation="eager")
    task = "LMHeadModel" if family == "GPT2" else "ForCausalLM"
    model = getattr(transformers, f"{family}{task}")(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" in name or "ln_" in name:
                parameter.add_(torch.randn_like(parameter) * 0.2)
            else:
                parameter.copy_(torch.randn_like(parameter) * 0.25)
        tokens = torch.randint(0, config.vocab_size, (1, TOKENS))
        logits = model(tokens).logits[0].float().numpy()
    model.save_pretrained(folder)
    np.save(folder / "tokens.npy", tokens[0].numpy())
    np.save(folder / "logits.npy", logits)


if __name__ == "__main__":
    main()
