"""Conditions in search files: `evaluation == 'tests'`, `len(generators) * samples <= 24`.

The syntax is Python's; only comparisons, `and`, `or`, `not`, arithmetic, `len`, `min` and `max` are
known. What a hole that is absent touches is unknown: neither true nor false.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archon.errors import ConfigError

__all__ = ["ABSENT", "Expression"]


class _Absent:
    """The value of a hole that is not reached."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()
MOST = 1000
"""Characters of an expression."""
ALLOWED = "comparisons, and, or, not, + - * / // %, len(), min(), max()"

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda a, b: a in b,
    ast.NotIn: lambda a, b: a not in b,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CALLS: dict[str, Callable[..., Any]] = {"len": len, "min": min, "max": max}


@dataclass(frozen=True)
class Expression:
    """A condition over holes.

    Attributes:
        text: as it was written.
        where: `file:line`.
        names: the holes it asks for.

    Raises:
        ConfigError: for what is not such a condition.
    """

    text: str
    where: str = ""
    names: frozenset[str] = field(init=False)
    _tree: ast.expr = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if len(self.text) > MOST:
            raise ConfigError(f"a condition has at most {MOST} characters", where=self.where)
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            raise ConfigError(f"not a condition: {self.text!r}", where=self.where) from None
        names: set[str] = set()
        self._check(tree, names)
        object.__setattr__(self, "names", frozenset(names))
        object.__setattr__(self, "_tree", tree)

    def _check(self, node: ast.expr, names: set[str]) -> None:
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Call):
            self._check_call(node)
        elif not _allowed(node):
            raise self._wrong(node)
        inside = node.args if isinstance(node, ast.Call) else ast.iter_child_nodes(node)
        for child in inside:
            if isinstance(child, ast.expr):
                self._check(child, names)

    def _check_call(self, node: ast.Call) -> None:
        if not (isinstance(node.func, ast.Name) and node.func.id in _CALLS) or node.keywords:
            raise self._wrong(node)
        if not node.args or (node.func.id == "len" and len(node.args) != 1):
            raise ConfigError(f"wrong arguments in {self.text!r}", where=self.where)

    def _wrong(self, node: ast.expr) -> ConfigError:
        return ConfigError(
            f"{ast.unparse(node)!r} cannot stand in a condition; known: {ALLOWED}",
            where=self.where,
        )

    def holds(self, values: Mapping[str, Any]) -> bool | None:
        """Return whether it holds; None where that hangs on a hole that is absent.

        Raises:
            ConfigError: when the values do not fit, such as a text compared with a number.
        """
        try:
            value = self._value(self._tree, values)
        except (TypeError, ValueError, ArithmeticError) as error:
            shown = ", ".join(f"{name} = {values[name]!r}" for name in sorted(self.names))
            raise ConfigError(f"{self.text!r}: {error} ({shown})", where=self.where) from None
        return None if value is ABSENT else bool(value)

    def _value(self, node: ast.AST, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return values[name]
            case ast.BoolOp(op=op, values=parts):
                return _either(
                    [self._value(part, values) for part in parts], isinstance(op, ast.Or)
                )
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, values) for part in parts]
        apply, operands = _applied(node)
        given = [self._value(operand, values) for operand in operands]
        return ABSENT if any(value is ABSENT for value in given) else apply(*given)


def _allowed(node: ast.expr) -> bool:
    """Whether a node that is neither a name nor a call can stand in a condition."""
    match node:
        case ast.Constant(value=value):
            return isinstance(value, (str, int, float))
        case ast.UnaryOp(op=op):
            return isinstance(op, (ast.Not, ast.USub))
        case ast.BinOp(op=op):
            return type(op) in _ARITHMETIC
        case ast.Compare(ops=ops):
            return all(type(op) in _COMPARE for op in ops)
    return isinstance(node, (ast.BoolOp, ast.List, ast.Tuple))


def _applied(node: ast.AST) -> tuple[Callable[..., Any], Sequence[ast.expr]]:
    """Return what a node applies, and to what."""
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return operator.not_, [operand]
        case ast.UnaryOp(operand=operand):
            return operator.neg, [operand]
        case ast.BinOp(left=left, op=op, right=right):
            return _ARITHMETIC[type(op)], [left, right]
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            tests = [_COMPARE[type(op)] for op in ops]
            return lambda *chain: _chained(tests, chain), [left, *comparators]
        case ast.Call(func=ast.Name(id=name), args=args):
            return _CALLS[name], args
    raise AssertionError(node)


def _chained(tests: Sequence[Callable[[Any, Any], bool]], chain: Sequence[Any]) -> bool:
    return all(test(a, b) for test, a, b in zip(tests, chain, chain[1:], strict=False))


def _either(values: list[Any], is_or: bool) -> Any:
    """Return three-valued `or` or `and`."""
    known = [bool(value) for value in values if value is not ABSENT]
    if is_or in known:
        return is_or
    return ABSENT if len(known) < len(values) else not is_or
