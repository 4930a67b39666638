"""Which labels the result of an expression has for sure, and what is wrong with the labels that it asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import promql_parser as promql

Labels = frozenset[str]
# Of a rule that hands on its own last value the labels are those of its other half.
ANY = None


@dataclass
class Reader:
    """Reads expressions against the labels that each metric is known to have, and notes what does not fit."""

    known: Mapping[str, Labels | None]
    wrong: list[str] = field(default_factory=list)

    def labels(self, expression: str) -> Labels | None:
        """The labels of the result. Raises ValueError for what is no PromQL."""
        return self._of(promql.parse(expression))

    def _of(self, node: Any) -> Labels | None:
        read: dict[str, Callable[[Any], Labels | None]] = {
            "VectorSelector": self._selector,
            "MatrixSelector": lambda node: self._selector(node.vector_selector),
            "ParenExpr": lambda node: self._of(node.expr),
            "UnaryExpr": lambda node: self._of(node.expr),
            "AggregateExpr": self._aggregate,
            "Call": self._call,
            "BinaryExpr": self._binary,
            "NumberLiteral": lambda _: frozenset(),
        }
        return read[type(node).__name__](node)

    def _selector(self, node: Any) -> Labels | None:
        if node.name not in self.known:
            self.wrong.append(f"{node.name}: no such metric is known")
            return ANY
        has = self.known[node.name]
        self._asked(has, {matcher.name for matcher in node.matchers.matchers}, str(node))
        return has

    def _aggregate(self, node: Any) -> Labels | None:
        inner, modifier = self._of(node.expr), node.modifier
        if modifier is None:
            return frozenset()
        named = frozenset(modifier.labels)
        self._asked(inner, named, str(node))
        if modifier.type == promql.AggModifierType.By:
            return named
        return inner and inner - named

    def _call(self, node: Any) -> Labels | None:
        name, arguments = node.func.name, node.args
        if name in ("time", "vector"):
            return frozenset()
        if name == "absent":
            inner = arguments[0]
            self._of(inner)
            return frozenset(each.name for each in inner.matchers.matchers)
        if name == "histogram_quantile":
            inner = self._of(arguments[1])
            self._asked(inner, {"le"}, str(node))
            return inner and inner - {"le"}
        inner = self._of(arguments[0])
        if name == "label_replace":
            self._asked(inner, {arguments[3].val}, str(node))
            return inner if inner is ANY else inner | {arguments[1].val}
        return inner

    def _binary(self, node: Any) -> Labels | None:
        left, right, modifier = self._of(node.lhs), self._of(node.rhs), node.modifier
        sides = [type(_bare(side)).__name__ == "NumberLiteral" for side in (node.lhs, node.rhs)]
        if any(sides):
            return right if sides[0] else left
        matching = modifier.matching if modifier else None
        if matching is not None:
            for side in (left, right):
                self._asked(side, frozenset(matching.labels), str(node))
        match operator(node):
            case "and" | "unless":
                return left
            case "or":
                return _both(left, right)
        many = str(modifier.card) if modifier else ""
        more = frozenset((modifier.group_labels or ()) if modifier else ())
        if "ManyToOne" in many or "OneToMany" in many:
            one, rest = (right, left) if "ManyToOne" in many else (left, right)
            self._asked(one, more, str(node))
            return rest and rest | more
        if matching is None:
            if None not in (left, right) and left != right and left and right:
                self.wrong.append(f"{node}: sides with {sorted(left)} and {sorted(right)} never match")
            return left if left else right
        return frozenset(matching.labels)

    def _asked(self, has: Labels | None, asked: frozenset[str] | set[str], where: str) -> None:
        if has is not ANY and (missing := asked - has):
            self.wrong.append(f"{where}: no label {', '.join(sorted(missing))}, there are {', '.join(sorted(has))}")


def selectors(expression: str) -> Iterator[Any]:
    """Every selector of a metric in an expression."""
    found: list[Any] = []

    def visit(node: Any) -> None:
        if type(node).__name__ == "VectorSelector":
            found.append(node)
        if type(node).__name__ == "MatrixSelector":
            found.append(node.vector_selector)

    promql.walk(promql.parse(expression), visit)
    yield from {str(node): node for node in found}.values()


def comparisons(expression: str) -> list[tuple[str, float]]:
    """Operator and number of every comparison with a number, from left to right."""
    found: list[tuple[str, float]] = []

    def visit(node: Any) -> None:
        if type(node).__name__ == "BinaryExpr" and operator(node) in (">", ">=", "<", "<=", "=="):
            number = _number(node.rhs)
            if number is not None:
                found.append((operator(node), number))

    promql.walk(promql.parse(expression), visit)
    return found


def operator(node: Any) -> str:
    """A binary expression's operator: the parser tells it in words alone."""
    return str(node)[len(str(node.lhs)) :].split()[0]


def _number(node: Any) -> float | None:
    node = _bare(node)
    if type(node).__name__ == "NumberLiteral":
        return float(node.val)
    if type(node).__name__ == "BinaryExpr" and operator(node) == "*":
        left, right = _number(node.lhs), _number(node.rhs)
        return None if left is None or right is None else left * right
    return None


def _bare(node: Any) -> Any:
    while type(node).__name__ == "ParenExpr":
        node = node.expr
    return node


def _both(left: Labels | None, right: Labels | None) -> Labels | None:
    if left is ANY or right is ANY:
        return right if left is ANY else left
    return left & right
