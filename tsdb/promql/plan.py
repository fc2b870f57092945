"""The plan: what a query means, as frozen nodes that print themselves (`explain`).

In: what `parse` read. Out: a tree that `execute` walks. Durations are milliseconds; `pos` is the offset of a node's
first character in the query text, for errors and annotations.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from obs.model.durations import duration_text
from obs.model.labels import Matcher, MatchOp
from obs.tsdb.promql.lengths import Operation


class Kind(Enum):
    """The type of an expression; the value is how messages call it."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    STRING = "string"


class AtEdge(Enum):
    """`@ start()` and `@ end()`."""

    START = "start()"
    END = "end()"


class Edge(Enum):
    """How a range selector treats the edges of its window."""

    NONE = ""
    ANCHORED = "anchored"
    SMOOTHED = "smoothed"


At = int | AtEdge | None
"""A fixed evaluation time: milliseconds, an edge of the query's range, or none."""


@dataclass(frozen=True, slots=True)
class Node:
    """An expression; `pos` is where it begins in the text."""

    pos: int

    @property
    def kind(self) -> Kind:
        """The type of its value."""
        return Kind.VECTOR

    @property
    def children(self) -> tuple[Node, ...]:
        """What it takes its input from."""
        return ()

    @property
    def title(self) -> str:
        """One line that says what it does."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Number(Node):
    """A number; a duration literal is its seconds."""

    value: float
    is_duration: bool = field(default=False, compare=False)

    @property
    def kind(self) -> Kind:
        return Kind.SCALAR

    @property
    def title(self) -> str:
        return f"number {self.value:g}"


@dataclass(frozen=True, slots=True)
class String(Node):
    """A string literal, unquoted."""

    value: str

    @property
    def kind(self) -> Kind:
        return Kind.STRING

    @property
    def title(self) -> str:
        return f"string {self.value!r}"


@dataclass(frozen=True, slots=True)
class Selector(Node):
    """Series by matchers, each at its last sample within the lookback."""

    matchers: tuple[Matcher, ...]
    offset_ms: int = 0
    at: At = None
    edge: Edge = Edge.NONE
    is_named: bool = field(default=False, compare=False)  # the metric stands before any braces
    offset_written: Operation | None = field(default=None, compare=False)

    @property
    def title(self) -> str:
        return f"select {matchers_text(self.matchers)}{_times(self.offset_ms, self.at)}{_edge(self.edge)}"


@dataclass(frozen=True, slots=True)
class RangeSelector(Node):
    """The samples of a selector's series in the window (t - range, t]."""

    selector: Selector
    range_ms: int
    range_written: Operation | None = field(default=None, compare=False)

    @property
    def kind(self) -> Kind:
        return Kind.MATRIX

    @property
    def title(self) -> str:
        s = self.selector
        window = f"[{duration_text(self.range_ms)}]"
        return f"window {window} {matchers_text(s.matchers)}{_times(s.offset_ms, s.at)}{_edge(s.edge)}"


@dataclass(frozen=True, slots=True)
class Subquery(Node):
    """An expression evaluated on a grid of its own, as a range vector; step None is the default interval."""

    expr: Node
    range_ms: int
    step_ms: int | None
    offset_ms: int = 0
    at: At = None
    range_written: Operation | None = field(default=None, compare=False)
    step_written: Operation | None = field(default=None, compare=False)
    offset_written: Operation | None = field(default=None, compare=False)

    @property
    def kind(self) -> Kind:
        return Kind.MATRIX

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.expr,)

    @property
    def title(self) -> str:
        step = "" if self.step_ms is None else duration_text(self.step_ms)
        return f"subquery [{duration_text(self.range_ms)}:{step}]{_times(self.offset_ms, self.at)}"


@dataclass(frozen=True, slots=True)
class Call(Node):
    """A function applied to its arguments."""

    name: str
    args: tuple[Node, ...]
    returns: Kind

    @property
    def kind(self) -> Kind:
        return self.returns

    @property
    def children(self) -> tuple[Node, ...]:
        return self.args

    @property
    def title(self) -> str:
        return f"call {self.name}"


@dataclass(frozen=True, slots=True)
class Aggregate(Node):
    """An aggregation over groups of series: `by` the labels, or `without` them."""

    op: str
    expr: Node
    param: Node | None
    labels: tuple[str, ...]
    without: bool

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.expr,) if self.param is None else (self.param, self.expr)

    @property
    def title(self) -> str:
        word = "without" if self.without else "by"
        return f"aggregate {self.op} {word} ({', '.join(self.labels)})"


class Card(Enum):
    """How many series of each side may share a signature."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class Matching:
    """How the series of two vectors find each other."""

    card: Card = Card.ONE_TO_ONE
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """An operator between two expressions; `matching` is set where both are vectors."""

    op: str
    left: Node
    right: Node
    bool_: bool = False
    matching: Matching | None = None
    _kind: Kind = field(init=False, repr=False, compare=False)  # known once: asked of the top, it would walk the whole

    def __post_init__(self) -> None:
        both = self.left.kind is Kind.SCALAR and self.right.kind is Kind.SCALAR
        object.__setattr__(self, "_kind", Kind.SCALAR if both else Kind.VECTOR)

    @property
    def kind(self) -> Kind:
        return self._kind

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.left, self.right)

    @property
    def title(self) -> str:
        text = f"binary {self.op}{' bool' if self.bool_ else ''}"
        m = self.matching
        if m is None:
            return text
        names = f" {'on' if m.on else 'ignoring'} ({', '.join(m.labels)})" if m.on or m.labels else ""
        include = f" include ({', '.join(m.include)})" if m.include else ""
        return f"{text} {m.card.value}{names}{include}"


@dataclass(frozen=True, slots=True)
class Negate(Node):
    """Unary minus."""

    expr: Node
    _kind: Kind = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_kind", self.expr.kind)

    @property
    def kind(self) -> Kind:
        return self._kind

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.expr,)

    @property
    def title(self) -> str:
        return "negate"


@dataclass(frozen=True, slots=True)
class Paren(Node):
    """Parentheses: they change nothing but where the expression begins."""

    expr: Node
    _kind: Kind = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_kind", self.expr.kind)

    @property
    def kind(self) -> Kind:
        return self._kind

    @property
    def children(self) -> tuple[Node, ...]:
        return (self.expr,)

    @property
    def title(self) -> str:
        return "parentheses"


def unwrap(node: Node) -> Node:
    """The node inside any parentheses."""
    while isinstance(node, Paren):
        node = node.expr
    return node


OF_THE_STEP = frozenset((
    "time", "predict_linear", "day_of_month", "day_of_week", "day_of_year", "days_in_month", "hour", "minute", "month",
    "year",
))  # fmt: skip
"""Functions that look at the time of the step itself."""


def is_fixed(node: Node) -> bool:
    """Whether a node has the same value at every step, as `@` fixes the time of all that it reads."""
    if isinstance(node, Selector | Subquery):
        return node.at is not None
    if isinstance(node, RangeSelector):
        return node.selector.at is not None
    if isinstance(node, Call) and node.name in OF_THE_STEP:
        return False
    return all(is_fixed(child) for child in node.children)


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first."""
    left = [node]
    while left:
        found = left.pop()
        yield found
        left.extend(reversed(found.children))


def explain(node: Node) -> str:
    """The plan as an indented tree, one node a line."""
    return "\n".join(_lines(unwrap(node), "", ""))


def _lines(node: Node, first: str, rest: str) -> Iterator[str]:
    yield first + node.title
    children = [unwrap(c) for c in node.children]
    for i, child in enumerate(children):
        last = i == len(children) - 1
        yield from _lines(child, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))


_BYTE = re.compile("[\udc80-\udcff]")
"""A byte that is no UTF-8, as `unquote` gives it."""


def quote(text: str) -> str:
    """A string literal of `text`."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return '"' + _BYTE.sub(lambda found: f"\\x{ord(found[0]) & 0xFF:02x}", escaped) + '"'


def matchers_text(matchers: tuple[Matcher, ...]) -> str:
    """Matchers as a selector, the metric name in front where it is an equality on a plain name."""
    name = next((m.value for m in matchers if m.name == "__name__" and m.op is MatchOp.EQ and is_plain(m.value)), "")
    rest = [m for m in matchers if not (name and m.name == "__name__" and m.op is MatchOp.EQ)]
    inner = ",".join(matcher_text(m) for m in rest)
    return f"{name}{{{inner}}}" if inner or not name else name


def matcher_text(matcher: Matcher) -> str:
    """One matcher as it stands between braces."""
    return f"{label_text(matcher.name)}{matcher.op.value}{quote(matcher.value)}"


def is_plain(name: str) -> bool:
    """Whether a metric name needs no quotes."""
    return bool(name) and name.isascii() and not name[0].isdigit() and all(c.isalnum() or c in "_:" for c in name)


def label_text(name: str) -> str:
    """A label name, quoted where it must be."""
    return name if is_plain(name) and ":" not in name else quote(name)


def _times(offset_ms: int, at: At) -> str:
    text = "" if at is None else f" @ {at.value if isinstance(at, AtEdge) else f'{at / 1000:.3f}'}"
    return text + (f" offset {duration_text(offset_ms)}" if offset_ms else "")


def _edge(edge: Edge) -> str:
    return f" {edge.value}" if edge is not Edge.NONE else ""
