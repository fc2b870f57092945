"""Conditions on one span, as values: what Jaeger's tags, Zipkin's queries and TraceQL's filters are planned into.

A comparison holds only where the span has the field, also with `!=`: a missing attribute is neither equal nor unequal.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from obs.errors import QueryError
from obs.tracestore import limits

Value = str | int | float | bool | None
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "=~", "!~")

SCOPES = {"span": "attr", "resource": "resource", "instrumentation": "scope"}
"""TraceQL's name of a scope → the columns'."""


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """A field that every span has: name, kind, status, statusMessage, duration, start …; see `evaluate.INTRINSICS`."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by key; scope as in column names (`resource`, `scope`, `attr`), None for any of them."""

    scope: str | None
    key: str

    def __str__(self) -> str:
        names = {column: name for name, column in SCOPES.items()}
        return f"{names[self.scope] if self.scope else ''}.{self.key}"


Field = Intrinsic | Attribute


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`. Numbers are compared with numbers and text with text, unless `loose`: then `value` is text
    as a user typed it, equal to an attribute of any type that reads the same. None: the field is absent (or not)."""

    field: Field
    op: str
    value: Value
    loose: bool = False

    def __str__(self) -> str:
        value = "nil" if self.value is None else f'"{self.value}"' if isinstance(self.value, str) else self.value
        return f"{self.field} {self.op} {str(value).lower() if isinstance(self.value, bool) else value}"


@dataclass(frozen=True, slots=True)
class And:
    """All hold, for one and the same span."""

    items: tuple[Expr, ...]

    def __str__(self) -> str:
        return "(" + " && ".join(map(str, self.items)) + ")"


@dataclass(frozen=True, slots=True)
class Or:
    """One holds."""

    items: tuple[Expr, ...]

    def __str__(self) -> str:
        return "(" + " || ".join(map(str, self.items)) + ")"


@dataclass(frozen=True, slots=True)
class Not:
    """It does not hold."""

    item: Expr

    def __str__(self) -> str:
        return f"!{self.item}"


Expr = Compare | And | Or | Not


def all_of(items: Iterable[Expr | None]) -> Expr | None:
    """The conjunction of what is not None; None where nothing is left, which every span satisfies."""
    flat: list[Expr] = []
    for item in items:
        if isinstance(item, And):
            flat += item.items
        elif item is not None:
            flat.append(item)
    return And(tuple(flat)) if len(flat) > 1 else flat[0] if flat else None


TRACE_FIELDS = (
    "traceDuration",
    "rootServiceName",
    "rootName",
    "nestedSetLeft",
    "nestedSetRight",
    "nestedSetParent",
    "parentPosition",
)
"""Intrinsics whose value a part of a trace cannot tell."""


def names_trace(expr: Expr | None) -> bool:
    """Whether an expression depends on more of the trace than the span."""
    if isinstance(expr, Compare):
        return isinstance(expr.field, Intrinsic) and expr.field.name in TRACE_FIELDS
    if isinstance(expr, And | Or):
        return any(names_trace(item) for item in expr.items)
    return isinstance(expr, Not) and names_trace(expr.item)


def check_regex(pattern: str) -> str:
    """`pattern`, anchored at both ends. Raises: QueryError where it does not compile."""
    if len(pattern) > limits.MAX_REGEX_CHARS:
        raise QueryError(
            f"cannot use a regular expression of {len(pattern)} characters: the limit is {limits.MAX_REGEX_CHARS}; "
            "shorten it"
        )
    anchored = f"^(?s:{pattern})$"
    try:
        pc.match_substring_regex(pa.array([""]), anchored)
    except pa.ArrowInvalid as e:
        cause = str(e).partition("Invalid regular expression: ")[2] or str(e)
        raise QueryError(f"cannot compile regex {pattern!r}: {cause}; see RE2's syntax") from None
    return anchored
