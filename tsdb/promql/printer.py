"""Plan → query text: on one line (`text`), or laid out over several where it is long (`pretty`)."""

from __future__ import annotations

from obs.model.durations import duration_text
from obs.tsdb.promql import lengths
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.lengths import Operation
from obs.tsdb.promql.plan import (
    Aggregate,
    AtEdge,
    Binary,
    Call,
    Card,
    Edge,
    Matching,
    Negate,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    String,
    Subquery,
    label_text,
    matcher_text,
    matchers_text,
    quote,
)  # fmt: skip

MAX_LINE = 100
"""Longer expressions are split, as Prometheus's formatter does."""


def text(node: Node) -> str:
    """The expression on one line."""
    return _written(node, None)


def pretty(node: Node, depth: int = 0) -> str:
    """The expression, its parts on lines of their own where one line would be too long."""
    flat = text(node)
    if len(flat) <= MAX_LINE:
        return "  " * depth + flat
    return _written(node, depth)


def _written(node: Node, depth: int | None) -> str:
    pad = "" if depth is None else "  " * depth
    if isinstance(node, Binary):
        return _binary(node, depth, pad)
    if isinstance(node, Aggregate):
        args = [a for a in (node.param, node.expr) if a is not None]
        return f"{pad}{_aggregate_head(node)}{_list(args, depth)}"
    if isinstance(node, Call):
        return f"{pad}{node.name}{_list(list(node.args), depth)}"
    if isinstance(node, Paren):
        return f"{pad}{_list([node.expr], depth)}"
    if isinstance(node, Negate):
        return f"{pad}-{_inner(node.expr, depth).lstrip()}"
    if isinstance(node, Subquery):
        step = "" if node.step_ms is None else _length(node.step_ms, node.step_written)
        window = f"[{_length(node.range_ms, node.range_written)}:{step}]"
        return f"{pad}{_inner(node.expr, depth).lstrip()}{window}{_times(node)}"
    return pad + _leaf(node)


def _inner(node: Node, depth: int | None) -> str:
    return text(node) if depth is None else pretty(node, depth)


def _list(args: list[Node], depth: int | None) -> str:
    if depth is None:
        return f"({', '.join(text(a) for a in args)})"
    inner = ",\n".join(pretty(a, depth + 1) for a in args)
    return f"(\n{inner}\n{'  ' * depth})"


def _binary(node: Binary, depth: int | None, pad: str) -> str:
    op = f"{node.op}{' bool' if node.bool_ else ''}{'' if node.matching is None else _matching(node.matching)}"
    if depth is None:
        return f"{text(node.left)} {op} {text(node.right)}"
    return f"{pretty(node.left, depth + 1)}\n{pad}{op}\n{pretty(node.right, depth + 1)}"


def _matching(m: Matching) -> str:
    out = ""
    if m.on or m.labels or m.include or m.card in (Card.MANY_TO_ONE, Card.ONE_TO_MANY):
        out += f" {'on' if m.on else 'ignoring'} ({_names(m.labels)})"
    if m.card in (Card.MANY_TO_ONE, Card.ONE_TO_MANY):
        out += f" {'group_left' if m.card is Card.MANY_TO_ONE else 'group_right'} ({_names(m.include)})"
    if m.fill_left is not None and m.fill_left == m.fill_right:
        return f"{out} fill ({go_general(m.fill_left)})"
    out += "" if m.fill_left is None else f" fill_left ({go_general(m.fill_left)})"
    return out + ("" if m.fill_right is None else f" fill_right ({go_general(m.fill_right)})")


def _names(labels: tuple[str, ...]) -> str:
    return ", ".join(label_text(name) for name in labels)


def _aggregate_head(node: Aggregate) -> str:
    if node.without:
        return f"{node.op} without ({_names(node.labels)}) "
    return f"{node.op} by ({_names(node.labels)}) " if node.labels else node.op


def _leaf(node: Node) -> str:
    if isinstance(node, Number):
        return duration_text(round(node.value * 1000)) if node.is_duration else go_general(node.value)
    if isinstance(node, String):
        return quote(node.value)
    if isinstance(node, RangeSelector):
        s = node.selector
        return f"{_named(s)}[{_length(node.range_ms, node.range_written)}]{_modifiers(s)}"
    assert isinstance(node, Selector)
    return _named(node) + _modifiers(node)


def _named(node: Selector) -> str:
    """The matchers, with the metric's name where it was written."""
    if node.is_named:
        return matchers_text(node.matchers)
    ordered = sorted(node.matchers, key=lambda m: f"{m.name}{m.op.value}{m.value}")
    return f"{{{','.join(map(matcher_text, ordered))}}}"


def _modifiers(node: Selector) -> str:
    edge = f" {node.edge.value}" if node.edge is not Edge.NONE else ""
    return edge + _times(node)


def _times(node: Selector | Subquery) -> str:
    out = ""
    if node.at is not None:
        out = f" @ {node.at.value if isinstance(node.at, AtEdge) else f'{node.at / 1000:.3f}'}"
    shown = node.offset_ms or node.offset_written is not None
    return out + (f" offset {_length(node.offset_ms, node.offset_written)}" if shown else "")


def _length(ms: int, written: Operation | None) -> str:
    return duration_text(ms) if written is None else lengths.text(written)
