"""What a module's source says of the things that decide its results, read from its syntax tree and never by running it.

Two declarations stand at the top of a module, each a tuple of literal strings:

DATA_FILES        paths or glob patterns, below the repository, of the files that it reads or hands to programs
DYNAMIC_IMPORTS   modules that it imports by a name which is only known when it runs
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from farm.errors import SettingsInvalid

DATA_FILES, DYNAMIC_IMPORTS = "DATA_FILES", "DYNAMIC_IMPORTS"
# Names by which a module finds files of the repository.
LOCATIONS = frozenset({"ROOT", "ANDROID_BUILDER", "EXAMPLES"})
IMPORTERS = frozenset({"import_module", "__import__", "run_module", "run_path", "walk_packages", "iter_modules"})
ROLE = "Role"
# In place of single roles, for a module that goes through all of them.
EVERY_ROLE = "*"


@dataclass(frozen=True)
class ModuleSource:
    """What one source says. imports: full dotted names, of which the last part may be a name in a module. roles: of
    Maven artifacts, by the names of `pipeline.toolchain.pins.Role`."""

    imports: frozenset[str]
    data_files: tuple[str, ...] = ()
    roles: frozenset[str] = field(default=frozenset())


def read(path: Path, name: str, label: str) -> ModuleSource:
    """Read the source of the module `name`; `label` stands for its path in messages.

    SettingsInvalid when it finds files or modules in a way that no declaration covers.
    """
    try:
        tree = ast.parse(path.read_bytes())
    except SyntaxError as error:
        raise SettingsInvalid(f"{label} is no valid Python (line {error.lineno}); restore it.") from error
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    declared = _declarations(tree, label)
    imports, roles = set(declared.get(DYNAMIC_IMPORTS, ())), set[str]()
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        imports.update(_imported(node, package))
        roles.update(_roles(node))
        if DYNAMIC_IMPORTS not in declared and _imports_by_variable(node):
            raise SettingsInvalid(
                f"{label} imports a module by a variable (line {line}); declare the modules in {DYNAMIC_IMPORTS}."
            )
        if DATA_FILES not in declared and _finds_files(node):
            raise SettingsInvalid(
                f"{label} finds files of the repository (line {line}); declare those that it reads in"
                f" {DATA_FILES}, which may be empty."
            )
    return ModuleSource(frozenset(imports), declared.get(DATA_FILES, ()), frozenset(roles))


def _declarations(tree: ast.Module, label: str) -> dict[str, tuple[str, ...]]:
    found = {}
    for statement in tree.body:
        targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
        for target in targets:
            if isinstance(target, ast.Name) and target.id in (DATA_FILES, DYNAMIC_IMPORTS):
                found[target.id] = _strings(getattr(statement, "value", None), f"{target.id} in {label}")
    return found


def _strings(value: ast.expr | None, what: str) -> tuple[str, ...]:
    try:
        strings = ast.literal_eval(value) if value is not None else None
    except ValueError:
        strings = None
    if not isinstance(strings, tuple) or not all(isinstance(each, str) for each in strings):
        raise SettingsInvalid(f"{what} must be a tuple of literal strings, since it is read without running it.")
    return strings


def _imported(node: ast.AST, package: str) -> Iterator[str]:
    """Every dotted name that a statement or a call may import."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
        base = ".".join([*parents, *([node.module] if node.module else [])])
        yield from (base if alias.name == "*" else f"{base}.{alias.name}" for alias in node.names)
    elif isinstance(node, ast.Call) and _called(node) in IMPORTERS and node.args:
        first = node.args[0]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


def _imports_by_variable(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and _called(node) in IMPORTERS and not list(_imported(node, ""))


def _finds_files(node: ast.AST) -> bool:
    match node:
        case ast.Name(id="__file__"):
            return True
        case ast.Attribute(value=ast.Name(id="locations"), attr=name):
            return name in LOCATIONS
        case ast.ImportFrom(module="farm.locations", names=names):
            return any(alias.name in LOCATIONS for alias in names)
        case ast.ImportFrom(module="importlib", names=names):
            return any(alias.name == "resources" for alias in names)
        case ast.Import(names=names):
            return any(alias.name == "importlib.resources" for alias in names)
    return False


def _roles(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Attribute(value=ast.Name(id="Role") | ast.Attribute(attr="Role"), attr=name) if name.isupper():
            yield name
        case ast.For(iter=ast.Name(id="Role")) | ast.comprehension(iter=ast.Name(id="Role")):
            yield EVERY_ROLE
        case ast.Call(args=[ast.Name(id="Role")]):
            yield EVERY_ROLE


def _called(node: ast.Call) -> str:
    """The last part of the called function's name."""
    match node.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""
