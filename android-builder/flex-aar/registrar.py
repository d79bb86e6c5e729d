"""From a list of ops to what Bazel builds: `ops_to_register.h` for selective registration, and TF Text's targets.

Runs inside of the container, on the sources of TensorFlow and TF Text, with nothing but Python's standard library.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path

KERNEL = re.compile(r'Name\(\s*"(?P<op>[A-Za-z0-9_>]+)"\s*\)(?P<rest>.*?)\)\s*;', re.DOTALL)
HEADER = """// Written by registrar.py.
#ifndef OPS_TO_REGISTER
#define OPS_TO_REGISTER
constexpr bool ShouldRegisterOp(const char op[]) {{
  return {ops};
}}
#define SHOULD_REGISTER_OP(op) ShouldRegisterOp(op)
#define SHOULD_REGISTER_OP_KERNEL(kernel) true
#define SHOULD_REGISTER_OP_GRADIENT false
#endif
"""


def kernels_of(folder: Path) -> dict[str, Path]:
    """The source file that registers each op's kernel, below a folder."""
    found: dict[str, Path] = {}
    for source in sorted(folder.rglob("*.cc")):
        if source.name.endswith("_test.cc"):
            continue
        text = source.read_text(encoding="utf-8", errors="replace")
        for match in KERNEL.finditer(text):
            found.setdefault(match["op"], source)
    return found


def target_of(source: Path, root: Path, prefix: str) -> str:
    """The Bazel target that TensorFlow's rule makes of a kernel's file."""
    package = source.parent.relative_to(root).as_posix()
    return f"{prefix}//{package}:{source.stem}"


def write(ops: list[str], tensorflow: Path, text: Path, target: Path) -> list[str]:
    """Write the header and the targets; the ops that no source registers."""
    own = kernels_of(tensorflow / "tensorflow" / "core" / "kernels")
    texts = kernels_of(text / "tensorflow_text" / "core" / "kernels")
    target.mkdir(parents=True, exist_ok=True)
    equals = " ||\n         ".join(f'__builtin_strcmp(op, "{op}") == 0' for op in ops) or "false"
    (target / "ops_to_register.h").write_text(HEADER.format(ops=equals))
    # TensorFlow's kernels are all compiled, and those left out that the header does not name; TF Text's are linked one
    # by one.
    chosen = sorted({target_of(texts[op], text, "@org_tensorflow_text") for op in ops if op in texts and op not in own})
    (target / "ops.bzl").write_text(f"TEXT_KERNELS = {json.dumps(chosen)}\n")
    return [op for op in ops if op not in own and op not in texts]


def main() -> int:
    """Read the list, write what Bazel needs; 1 with a sentence when an op has no kernel in the sources."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("ops", type=Path)
    for name in ("--tensorflow", "--text", "--target"):
        parser.add_argument(name, type=Path, required=True)
    given = parser.parse_args()
    ops = given.ops.read_text().split()
    unknown = write(ops, given.tensorflow, given.text, given.target)
    if unknown:
        sys.stderr.write(f"ERROR: no source of this version registers a kernel for {', '.join(unknown)}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
