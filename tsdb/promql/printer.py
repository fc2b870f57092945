"""Plan → query text: on one line (`text`), or laid out over several where it is long (`pretty`)."""

from __future__ import annotations

from obs.model.durations import duration_text
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.plan import (
    Aggregate,
    At,
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
        step = "" if node.step_ms is None else duration_text(node.step_ms)
        window = f"[{duration_text(node.range_ms)}:{step}]"
        return f"{pad}{_inner(node.expr, depth).lstrip()}{window}{_times(node.offset_ms, node.at)}"
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
        return go_general(node.value)
    if isinstance(node, String):
        return quote(node.value)
    if isinstance(node, RangeSelector):
        s = node.selector
        return f"{matchers_text(s.matchers)}[{duration_text(node.range_ms)}]{_modifiers(s)}"
    assert isinstance(node, Selector)
    return matchers_text(node.matchers) + _modifiers(node)


def _modifiers(node: Selector) -> str:
    edge = f" {node.edge.value}" if node.edge is not Edge.NONE else ""
    return edge + _times(node.offset_ms, node.at)


def _times(offset_ms: int, at: At) -> str:
    out = ""
    if at is not None:
        out = f" @ {at.value if isinstance(at, AtEdge) else f'{at / 1000:.3f}'}"
    return out + (f" offset {duration_text(offset_ms)}" if offset_ms else "")
