"""The places of a module's source that can be changed, and the changes."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from pathlib import Path

OPERATORS: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq, ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot, ast.IsNot: ast.Is, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And,
    ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.FloorDiv, ast.FloorDiv: ast.Mult, ast.Div: ast.Mult,
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """A place that can be changed.

    path: its module, relative to the repository. number: which of the module's places. line: where it stands. function:
    the qualified name of the function around it, as code objects have it; None in code that runs on import. text: what
    is changed.
    """

    path: str
    number: int
    line: int
    function: str | None
    text: str


class _Changer(ast.NodeTransformer):
    """Counts the places that can be changed, and changes the one with the chosen number."""

    def __init__(self, chosen: int | None = None) -> None:
        self.chosen = chosen
        self.found: list[tuple[int, str | None, str]] = []
        self._scopes: list[tuple[str, bool]] = []

    def _is_chosen(self, line: int, text: str) -> bool:
        self.found.append((line, self._function(), text))
        return len(self.found) - 1 == self.chosen

    def _function(self) -> str | None:
        """The innermost function, as `co_qualname` has it: `Class.method`, `outer.<locals>.inner`."""
        functions = [index for index, (_, function) in enumerate(self._scopes) if function]
        if not functions:
            return None
        parts = [name + ".<locals>" if function else name for name, function in self._scopes[: functions[-1]]]
        return ".".join([*parts, self._scopes[functions[-1]][0]])

    def _visit_scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> ast.AST:
        body, node.body = node.body, []
        self.generic_visit(node)  # decorators, defaults and bases run in the scope around it
        node.body = body
        self._scopes.append((node.name, not isinstance(node, ast.ClassDef)))
        node.body = [self.visit(statement) for statement in body]
        self._scopes.pop()
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._visit_scope(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._visit_scope(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._visit_scope(node)

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        if (other := OPERATORS.get(type(node.ops[0]))) and self._is_chosen(node.lineno, type(node.ops[0]).__name__):
            node.ops[0] = other()  # type: ignore[call-overload]
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._is_chosen(node.lineno, type(node.op).__name__):
            node.op = OPERATORS[type(node.op)]()  # type: ignore[assignment]
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        texts = any(isinstance(side, ast.JoinedStr | ast.List | ast.Tuple) for side in (node.left, node.right))
        other = None if texts else OPERATORS.get(type(node.op))
        if other and self._is_chosen(node.lineno, type(node.op).__name__):
            node.op = other()  # type: ignore[assignment]
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        return node.operand if isinstance(node.op, ast.Not) and self._is_chosen(node.lineno, "not") else node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        value = node.value
        if not isinstance(value, int | float) or not self._is_chosen(node.lineno, str(value)):
            return node
        return ast.copy_location(ast.Constant(not value if isinstance(value, bool) else value + 1), node)


def places(root: Path, path: str) -> list[Place]:
    """Every place of a module that can be changed."""
    changer = _Changer()
    changer.visit(ast.parse((root / path).read_text()))
    return [Place(path, number, *found) for number, found in enumerate(changer.found)]


def changed(source: str, number: int) -> str:
    """A module's source with the place of that number changed."""
    return ast.unparse(ast.fix_missing_locations(_Changer(number).visit(ast.parse(source))))
