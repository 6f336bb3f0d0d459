"""Conditions in search files: `evaluation == 'tests'`, `len(generators) * samples <= 24`.

The syntax is Python's; only comparisons, `and`, `or`, `not`, arithmetic, `len`, `min` and `max` are
known. What a hole that is absent touches is unknown: neither true nor false.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from archon.errors import ConfigError

__all__ = ["ABSENT", "Expression"]


class _Absent:
    """The value of a hole that is not reached."""

    def __repr__(self) -> str:
        return "absent"


ABSENT: Any = _Absent()
MOST = 1000
"""Characters of an expression."""

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

    ALLOWED: ClassVar[str] = "comparisons, and, or, not, + - * / // %, len(), min(), max()"

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
        match node:
            case ast.Constant(value=value) if isinstance(value, (str, int, float)):
                return
            case ast.Name(id=name):
                names.add(name)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS:
                if not args or (name == "len" and len(args) != 1):
                    raise ConfigError(f"wrong arguments in {self.text!r}", where=self.where)
            case ast.UnaryOp(op=ast.Not() | ast.USub()) | ast.BoolOp() | ast.List() | ast.Tuple():
                pass
            case ast.BinOp(op=op) if type(op) in _ARITHMETIC:
                pass
            case ast.Compare(ops=ops) if all(type(op) in _COMPARE for op in ops):
                pass
            case _:
                raise ConfigError(
                    f"{ast.unparse(node)!r} cannot stand in a condition; known: {self.ALLOWED}",
                    where=self.where,
                )
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr) and not isinstance(node, ast.Call):
                self._check(child, names)
        if isinstance(node, ast.Call):
            for argument in node.args:
                self._check(argument, names)

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

    def _value(self, node: ast.expr, values: Mapping[str, Any]) -> Any:
        match node:
            case ast.Constant(value=value):
                return value
            case ast.Name(id=name):
                return values[name]
            case ast.BoolOp(op=op, values=parts):
                return _either(
                    [self._value(part, values) for part in parts], isinstance(op, ast.Or)
                )
            case ast.UnaryOp(op=op, operand=operand):
                value = self._value(operand, values)
                if value is ABSENT:
                    return ABSENT
                return not value if isinstance(op, ast.Not) else -value
            case ast.Compare(left=left, ops=ops, comparators=comparators):
                chain = [self._value(part, values) for part in (left, *comparators)]
                if any(value is ABSENT for value in chain):
                    return ABSENT
                pairs = zip(ops, chain, chain[1:], strict=False)
                return all(_COMPARE[type(op)](a, b) for op, a, b in pairs)
            case ast.BinOp(left=left, op=op, right=right):
                both = self._value(left, values), self._value(right, values)
                return ABSENT if ABSENT in both else _ARITHMETIC[type(op)](*both)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                return [self._value(part, values) for part in parts]
            case ast.Call(func=ast.Name(id=name), args=args):
                given = [self._value(argument, values) for argument in args]
                return ABSENT if any(v is ABSENT for v in given) else _CALLS[name](*given)
        raise AssertionError(node)


def _either(values: list[Any], is_or: bool) -> Any:
    """Return three-valued `or` or `and`."""
    known = [bool(value) for value in values if value is not ABSENT]
    if is_or in known:
        return is_or
    return ABSENT if len(known) < len(values) else not is_or
