"""The same model for LiteRT-LM: `model.litertlm`, with tokenizer, stop tokens and limits in one file."""
