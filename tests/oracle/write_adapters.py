"""Writes LoRA adapters by PEFT itself for the checkpoints of `write_checkpoints.py`, with PEFT's own logits beside.

    python write_adapters.py CHECKPOINTS FOLDER

One folder a case: `adapter/` as `save_pretrained` wrote it, `logits.npy` of the base with the adapter switched on.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from adapter_cases import ADAPTERS
from peft import LoraConfig, PeftModel, get_peft_model

SEED = 20261201


def main() -> None:
    """Write every case."""
    # The model card needs a template engine, and nothing reads it.
    PeftModel.create_or_update_model_card = lambda *_: None
    bases, root = Path(sys.argv[1]), Path(sys.argv[2])
    for case, (family, base, settings) in ADAPTERS.items():
        write(bases / f"{family}-{base}", settings, root / case)


def write(base: Path, settings: dict[str, object], folder: Path) -> None:
    """One adapter with lively matrices, and the logits that it gives."""
    torch.manual_seed(SEED)
    model = transformers.AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    model = get_peft_model(model, LoraConfig(**settings, task_type="CAUSAL_LM")).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.copy_(torch.randn_like(parameter) * 0.2)
        tokens = torch.from_numpy(np.load(base / "tokens.npy"))[None]
        logits = model(tokens).logits[0].float().numpy()
    model.save_pretrained(folder / "adapter")
    np.save(folder / "logits.npy", logits)


if __name__ == "__main__":
    main()
