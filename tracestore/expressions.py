"""Conditions on one span, as values: what Jaeger's tags, Zipkin's queries and TraceQL's filters are planned into.

A comparison holds only where the span has the field, also with `!=`: a missing attribute is neither equal nor unequal.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from obs.errors import QueryError
from obs.tracestore import limits
from obs.tracestore.names import KINDS, STATUSES

if TYPE_CHECKING:
    from obs.tracestore.bounds import Bound
    from obs.tracestore.summaries import TraceRows

Value = str | int | float | bool | None
OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "=~", "!~")

WORDS = {"status": STATUSES, "kind": KINDS}
"""Intrinsic fields whose numbers TraceQL has words for."""

SCOPES = {"span": "attr", "resource": "resource", "instrumentation": "scope"}
"""TraceQL's name of a scope → the columns'."""


@dataclass(frozen=True, slots=True)
class Intrinsic:
    """A field that every span has: name, kind, status, statusMessage, duration, start …; see `evaluate.INTRINSICS`."""

    name: str

    def __str__(self) -> str:
        return _WRITTEN.get(self.name, self.name)


_WRITTEN = {"scopeName": "instrumentation:name", "scopeVersion": "instrumentation:version"}
"""Fields that TraceQL has other names for."""

_PLAIN_KEY = re.compile(r'[^\s{}()=!<>&|,"`~^]+')


def _key(key: str) -> str:
    """An attribute's key, in quotes where it has odd characters."""
    if _PLAIN_KEY.fullmatch(key):
        return key
    quoted = key.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{quoted}"'


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by key; scope as in column names (`resource`, `scope`, `attr`), None for any of them."""

    scope: str | None
    key: str

    def __str__(self) -> str:
        names = {column: name for name, column in SCOPES.items()}
        return f"{names[self.scope] if self.scope else ''}.{_key(self.key)}"


@dataclass(frozen=True, slots=True)
class OfParent:
    """A field of the span's parent."""

    field: Intrinsic | Attribute

    def __str__(self) -> str:
        return f"parent.{str(self.field).removeprefix('.')}"


@dataclass(frozen=True, slots=True)
class OfEach:
    """A field that each event or link of a span has: `name` is an attribute's key, or one of `nested.FIXED`."""

    list: str  # event, link
    name: str

    def __str__(self) -> str:
        return f"{self.list}{self.name}" if self.name.startswith(":") else f"{self.list}.{_key(self.name)}"


Field = Intrinsic | Attribute | OfParent | OfEach


@dataclass(frozen=True, slots=True)
class Constant:
    """A number, a text or a truth value, where it stands in arithmetic."""

    value: Value

    def __str__(self) -> str:
        return _shown(self.value)


@dataclass(frozen=True, slots=True)
class Arithmetic:
    """`left op right` over numbers; `op` is one of + - * / % ^."""

    op: str
    left: Term
    right: Term

    def __str__(self) -> str:
        return f"({self.left} {self.op} {self.right})"


Term = Intrinsic | Attribute | OfParent | OfEach | Constant | Arithmetic


def _shown(value: Value) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


@dataclass(frozen=True, slots=True)
class Compare:
    """`field op value`. Numbers are compared with numbers and text with text, unless `loose`: then `value` is text
    as a user typed it, equal to an attribute of any type that reads the same. None: the field is absent (or not)."""

    field: Field
    op: str
    value: Value
    loose: bool = False

    def __str__(self) -> str:
        words = WORDS.get(str(self.field), ())
        shown = "nestedSetParent" if self.field == Intrinsic("parentPosition") else self.field
        is_word = isinstance(self.value, int) and not isinstance(self.value, bool) and 0 <= self.value < len(words)
        return f"{shown} {self.op} {words[int(self.value or 0)] if is_word else _shown(self.value)}"


@dataclass(frozen=True, slots=True)
class CompareTerms:
    """`left op right` of two values of the same span: numbers with numbers, text with text, truth with truth."""

    left: Term
    op: str
    right: Term

    def __str__(self) -> str:
        return f"{self.left} {self.op} {self.right}"


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


class Planned(ABC):
    """A condition with an execution of its own, over whole traces: which spans a TraceQL pipeline ends with."""

    @abstractmethod
    def mask(self, rows: Any) -> Any:
        """bool[rows] of `evaluate.SpanRows`: the spans; never one of a trace that does not stand whole in the rows."""

    @abstractmethod
    def fields(self) -> Iterator[Field]:
        """Every field that it reads."""

    @abstractmethod
    def bound(self, traces: TraceRows) -> Bound:
        """What the traces table says; see `bounds.trace_bound`."""


Expr = Compare | CompareTerms | And | Or | Not | Planned

NOWHERE = Or(())
"""What no span satisfies."""


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
    "childCount",
)
"""Intrinsics whose value a part of a trace cannot tell."""


def names_trace(expr: Expr | None) -> bool:
    """Whether an expression depends on more of the trace than the span."""
    return isinstance(expr, Planned) or any_of_trace(fields_of(expr))


def any_of_trace(fields: Iterable[Field]) -> bool:
    """Whether one of these fields depends on more of the trace than the span."""
    return any(map(_of_trace, fields))


def _of_trace(field: Field) -> bool:
    return isinstance(field, OfParent) or (isinstance(field, Intrinsic) and field.name in TRACE_FIELDS)


def fields_of(expr: Expr | Term | None) -> Iterator[Field]:
    """Every field that an expression or a term reads."""
    if isinstance(expr, Intrinsic | Attribute | OfParent | OfEach):
        yield expr
    elif isinstance(expr, Compare):
        yield expr.field
    elif isinstance(expr, CompareTerms | Arithmetic):
        yield from fields_of(expr.left)
        yield from fields_of(expr.right)
    elif isinstance(expr, And | Or):
        for item in expr.items:
            yield from fields_of(item)
    elif isinstance(expr, Not):
        yield from fields_of(expr.item)
    elif isinstance(expr, Planned):
        yield from expr.fields()


def check_regex(pattern: str) -> str:
    """`pattern`, anchored at both ends. Raises: QueryError where it does not compile."""
    if len(pattern) > limits.MAX_REGEX_CHARS:
        raise QueryError(
            f"cannot use a regular expression of {len(pattern)} characters: the limit is {limits.MAX_REGEX_CHARS}; "
            "shorten it"
        )
    anchored = f"^(?s:{pattern})$"
    try:
        for text in (pattern, anchored):  # alone too: it may not close what stands around it
            pc.match_substring_regex(pa.array([""]), text)
    except pa.ArrowInvalid as e:
        cause = str(e).partition("Invalid regular expression: ")[2] or str(e)
        raise QueryError(f"cannot compile regex {pattern!r}: {cause}; see RE2's syntax") from None
    return anchored
