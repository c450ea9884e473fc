"""Small faults put into a module's source: one changed operator, constant, condition or statement.

Pure: source in, mutants out, always in the same order with the same names. Annotations, decorators,
docstrings, imports and the words of error messages stay as they are.
"""

from __future__ import annotations

import ast
import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

Made = tuple[str, ast.AST]

_BOUNDARY: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
}
_NEGATED: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_ARITHMETIC: Final[dict[type[ast.operator], type[ast.operator]]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.BitXor: ast.BitAnd,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
}
_CALLS: Final = {"min": "max", "max": "min", "any": "all", "all": "any"}
_REMOVABLE: Final = (ast.Expr, ast.AugAssign, ast.Raise, ast.Continue, ast.Break, ast.Delete)


@dataclass(frozen=True)
class Mutant:
    """One fault.

    Attributes:
        name: line, column, kind and number, the same in every run on the same source.
        text: the original line.
        before: the part as it was.
        after: as it is now.
        source: the whole module with the fault.
        function: qualified name of the outermost function whose body holds the fault; empty for
            what runs when the module is loaded.
        lines: first and last line of the innermost statement around the fault.
    """

    name: str
    text: str
    before: str
    after: str
    source: str
    function: str = ""
    lines: tuple[int, int] = (0, 0)


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of a module, in the order of its source."""
    tree, lines = ast.parse(source), source.splitlines()
    count: dict[str, int] = {}
    for path, node in _walk(tree, ()):
        for kind, changed in _changes(node, _within(tree, path)):
            _put(tree, path, changed)
            source_now = ast.unparse(ast.fix_missing_locations(tree))
            _put(tree, path, node)
            line, column = getattr(node, "lineno", 0), getattr(node, "col_offset", 0)
            stem = f"{line}:{column}:{kind}"
            count[stem] = count.get(stem, 0) + 1
            yield Mutant(
                f"{stem}:{count[stem]}",
                lines[line - 1].strip(),
                ast.unparse(node),
                ast.unparse(changed),
                source_now,
                *_place(tree, path),
            )


Step = tuple[str, int | None]


def _walk(node: ast.AST, path: tuple[Step, ...]) -> Iterator[tuple[tuple[Step, ...], ast.AST]]:
    """Nodes that may be mutated, each with its way from the root."""
    for field, value in ast.iter_fields(node):
        if _stays(node, field):
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, ast.AST) and not _skipped(child):
                step = (*path, (field, index))
                yield step, child
                yield from _walk(child, step)


def _stays(node: ast.AST, field: str) -> bool:
    """Parts that are read by type checkers and people only."""
    if field in {"annotation", "returns", "decorator_list", "bases", "keywords"}:
        return not isinstance(node, ast.Call)
    return isinstance(node, ast.Raise | ast.JoinedStr | ast.Assert)


def _skipped(node: ast.AST) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
    if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(node.value, ast.Call):
        made = node.value.func
        return isinstance(made, ast.Name) and made.id in {"TypeVar", "NewType"}
    return False


def _within(tree: ast.AST, path: tuple[Step, ...]) -> bool:
    """Whether the node lies inside a function, where ``|`` never joins types."""
    node: ast.AST = tree
    for step in path[:-1]:
        node = _at(node, step)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return True
    return False


def _place(tree: ast.AST, path: tuple[Step, ...]) -> tuple[str, tuple[int, int]]:
    """Outermost function and innermost statement around a node."""
    node, names, function = tree, list[str](), ""
    lines = (0, 0)
    for step in path:
        named = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        if named and not function and isinstance(node, ast.ClassDef):
            names.append(node.name)
        elif named and not function and step[0] == "body":
            function = ".".join([*names, getattr(node, "name", "")])
        node = _at(node, step)
        if isinstance(node, ast.stmt):
            lines = (node.lineno, node.end_lineno or node.lineno)
    return function, lines


def _at(node: ast.AST, step: Step) -> ast.AST:
    value = getattr(node, step[0])
    found = value if step[1] is None else value[step[1]]
    assert isinstance(found, ast.AST)
    return found


def _put(tree: ast.AST, path: tuple[Step, ...], changed: ast.AST) -> None:
    node = tree
    for step in path[:-1]:
        node = _at(node, step)
    field, index = path[-1]
    if index is None:
        setattr(node, field, changed)
    else:
        getattr(node, field)[index] = changed


def _changes(node: ast.AST, inside: bool) -> Iterator[Made]:
    if isinstance(node, ast.Compare):
        yield from _compare(node)
    elif isinstance(node, ast.BinOp | ast.AugAssign):
        other = _ARITHMETIC.get(type(node.op))
        if other is not None and (inside or not isinstance(node.op, ast.BitOr)):
            yield "arithmetic", _with(node, op=other())
    elif isinstance(node, ast.BoolOp):
        yield "boolean", _with(node, op=ast.Or() if isinstance(node.op, ast.And) else ast.And())
        for index in range(len(node.values)):
            rest = node.values[:index] + node.values[index + 1 :]
            yield "condition", rest[0] if len(rest) == 1 else _with(node, values=rest)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield "unary", node.operand
    elif isinstance(node, ast.Constant):
        yield from _constant(node, inside)
    elif isinstance(node, ast.Call):
        if isinstance(node.func, ast.Name) and node.func.id in _CALLS:
            yield "call", _with(node, func=ast.Name(_CALLS[node.func.id], ast.Load()))
    elif isinstance(node, ast.Return) and not _falls_silent(node.value):
        yield "return", ast.Return(ast.Constant(None))
    if isinstance(node, ast.If | ast.While | ast.IfExp) and not isinstance(
        node.test, ast.Compare | ast.BoolOp | ast.UnaryOp
    ):
        yield "negated", _with(node, test=ast.UnaryOp(ast.Not(), node.test))
    yield from _removal(node, inside)


def _compare(node: ast.Compare) -> Iterator[Made]:
    for table, kind in ((_BOUNDARY, "boundary"), (_NEGATED, "comparison")):
        for index, operator in enumerate(node.ops):
            if (other := table.get(type(operator))) is not None:
                changed = [*node.ops[:index], other(), *node.ops[index + 1 :]]
                yield kind, _with(node, ops=changed)


def _constant(node: ast.Constant, inside: bool) -> Iterator[Made]:
    value = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int):
        yield "constant", ast.Constant(value + 1)
        if value > 1:
            yield "constant", ast.Constant(value - 1)
    elif isinstance(value, str) and inside:
        yield "constant", ast.Constant(value + "~")


def _removal(node: ast.AST, inside: bool) -> Iterator[Made]:
    stores = isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Attribute | ast.Subscript) for target in node.targets
    )
    if inside and (stores or isinstance(node, _REMOVABLE)):
        yield "removal", ast.Pass()


def _falls_silent(node: ast.expr | None) -> bool:
    """Whether ``return None`` would be taken for the same answer."""
    return node is None or (isinstance(node, ast.Constant) and node.value in {None, False})


def _with(node: ast.AST, **fields: object) -> ast.AST:
    changed = copy.copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed
