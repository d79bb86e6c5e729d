"""One small mapping a family: a KerasHub backbone to a description and its weights under the decoder's names.

Everything is read from the layers themselves (their epsilon, their einsum equation), not from the backbone's
configuration, which some layers do not follow.
"""

from __future__ import annotations

from pipeline.conversion.families import bloom, falcon, gemma, gpt2, gpt_neo_x, llama, phi3, smollm3
from pipeline.conversion.families.architecture import Mapping

FAMILIES: dict[str, Mapping] = {
    "GPT2Backbone": gpt2.map_gpt2,
    "OPTBackbone": gpt2.map_opt,
    "LlamaBackbone": llama.map_llama,
    "Llama3Backbone": llama.map_llama,
    "MistralBackbone": llama.map_mistral,
    "QwenBackbone": llama.map_qwen,
    "Qwen3Backbone": llama.map_qwen3,
    "GemmaBackbone": gemma.map_gemma,
    "Gemma3Backbone": gemma.map_gemma,
    "Phi3Backbone": phi3.map_phi3,
    "GPTNeoXBackbone": gpt_neo_x.map_gpt_neo_x,
    "BloomBackbone": bloom.map_bloom,
    "FalconBackbone": falcon.map_falcon,
    "SmolLM3Backbone": smollm3.map_smollm3,
}


def family_name(backbone_class: str) -> str:
    """`GPT2Backbone` -> `GPT2`."""
    return backbone_class.removesuffix("Backbone")
