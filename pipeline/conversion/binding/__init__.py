"""Late binding: a weightless graph, converted once per architecture, gets its weights while they stream by.

The way of a graph through this package: `flatbuffer` reads it, `weight_inputs` takes the weights off the signatures,
`loops` carries them into loops,
`gains`, `biases` and `norms` give the operators the shape that the ordinary converter makes with constants, `storage`
decides types, scales and operator versions by the table in `runtimes`, `dead_tensors` drops what nobody reads, and
`model_file` writes the file with the rows that `quantization` makes of `derived` weights. `operators` is the allowlist.
"""

from pipeline.conversion.binding.binder import bind
from pipeline.conversion.binding.report import BindingReport

__all__ = ["BindingReport", "bind"]
