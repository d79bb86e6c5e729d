"""Compares a model with the ops that its job allows, and with those that no job may bring in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from farm.errors import OpForbidden, OpNotAllowed
from farm.oplist import OpSet
from pipeline.ops import dangers, known_aars, reading, tftext
from pipeline.ops.reading import FLEX, OpKind, OpUse
from pipeline.request import StageRequest

# In a list of faults, so many are spelled out.
SPELLED_OUT = 3
# Categories of dangerous ops that the converter turns into TFLite's own, if anything: calls are inlined, and some of
# XLA's ops have a built-in one beside them.
MAY_VANISH = ("functions", "accelerators")


@dataclass(frozen=True)
class Allowlist:
    """ops: the set; names: what is allowed beside it, with or without the prefix Flex; permitted: of the dangerous ops
    those that the operator of this farm lets in."""

    ops: OpSet
    names: frozenset[str] = frozenset()
    permitted: frozenset[str] = frozenset()

    @classmethod
    def of(cls, request: StageRequest) -> Self:
        """What the job and the farm's operator let in."""
        return cls(request.spec.allowed_ops, frozenset(request.spec.allow_ops), request.permitted_ops)

    def allows(self, use: OpUse) -> bool:
        """Whether the job lets that operator in, its danger aside."""
        if use.name in self.names or (use.runs is not None and use.runs in self.names):
            return True
        match use.kind:
            case OpKind.BUILTIN:
                return self.ops is not OpSet.LISTED
            case OpKind.FLEX:
                return self.ops in (OpSet.FLEX, OpSet.TFTEXT) and use.runs in stock_kernels()
            case OpKind.TFTEXT:
                return self.ops is OpSet.TFTEXT
            case OpKind.CUSTOM:
                return False


def stock_kernels() -> frozenset[str]:
    """The TensorFlow ops that the stock Flex AAR registers for every ABI."""
    readings = known_aars.load(known_aars.STOCK).abis.values()
    return frozenset.intersection(*(frozenset(one.kernels) for one in readings if one.kernels))


def require(path: Path, allowlist: Allowlist, only_custom: bool = False) -> None:
    """OpForbidden or OpNotAllowed for the first ops of a model that may not be in it.

    only_custom: leave built-in ops alone, for a graph that is still to be simplified.
    """
    require_uses(reading.read_operators(path), allowlist, only_custom)


def require_uses(uses: Iterable[OpUse], allowlist: Allowlist, only_custom: bool = False) -> None:
    """As `require`, for operators that were read already."""
    refused: dict[str, str] = {}
    for use in uses:
        why = dangers.danger(use, allowlist.permitted)
        if why is not None:
            raise OpForbidden(
                f"The model holds {_place(use)}, which no job may bring in since {why}; {_forbidden_fix(use)}"
            )
        if not allowlist.allows(use) and not (only_custom and use.kind is OpKind.BUILTIN):
            refused.setdefault(use.name, f"{_place(use)}; {_fix(use)}")
    if refused:
        first, *others = refused.values()
        more = f" It also holds {', '.join(list(refused)[1 : 1 + SPELLED_OUT])}" if others else ""
        more += f" and {len(others) - SPELLED_OUT} more." if len(others) > SPELLED_OUT else "." if others else ""
        raise OpNotAllowed(f"The model holds {first}{more}")


def require_traced(ops: Iterable[str], allowlist: Allowlist) -> None:
    """As `require`, for the names of TensorFlow's ops in a traced function, which is still to be converted.

    What the converter may turn into TFLite's own ops waits for the converted file.
    """
    for op in sorted(set(ops)):
        kind = OpKind.TFTEXT if op in tftext.TENSORFLOW_OPS or tftext.is_custom_op(op) else OpKind.FLEX
        use = OpUse(kind, f"{FLEX}{op}", 1, "the traced function", "", op)
        found = dangers.category(op)
        if (found is not None and found.name not in MAY_VANISH) or kind is OpKind.TFTEXT:
            require_uses([use], allowlist)


def _place(use: OpUse) -> str:
    """The op and where it is."""
    version = f" version {use.version}" if use.kind is OpKind.BUILTIN else ""
    where = f"{use.part}, {use.graph}" if use.part else use.graph
    return f"the {use.kind} op {use.name}{version} ({where})"


def _forbidden_fix(use: OpUse) -> str:
    if use.fault is not None:
        return "take the model from a source that you know."
    return (
        f"take it out of the model, or let the operator of the farm add {use.runs or use.name} to FARM_PERMITTED_OPS."
    )


def _fix(use: OpUse) -> str:
    """What to do about an op that is not allowed, the nearest first."""
    name = use.name.removeprefix(FLEX)
    match use.kind:
        case OpKind.BUILTIN:
            return f"add {use.name} to the list that --ops names, or leave --ops out."
        case OpKind.FLEX if use.runs in stock_kernels():
            return f"allow it with --allow-op {name} or --ops flex, or choose a I/O mode with built-in ops only."
        case OpKind.FLEX | OpKind.TFTEXT:
            return (
                f"the stock Flex AAR does not register it: use the portable graph, or allow it with --allow-op {name}"
                " and give an AAR that has it with --aar."
            )
        case OpKind.CUSTOM:
            return f"allow it with --allow-op {name} if your program brings its kernel, or take it out."
