"""SmolLM2-135M-Instruct, made from a wheel that holds it as a GGUF file."""
