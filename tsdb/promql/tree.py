"""Plan → the JSON tree that `/api/v1/parse_query` answers with, in Prometheus's field names."""

from __future__ import annotations

from typing import Any

from obs.tsdb.promql import lengths
from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.functions.signatures import SIGNATURES
from obs.tsdb.promql.lengths import Operation
from obs.tsdb.promql.plan import (
    Aggregate,
    AtEdge,
    Binary,
    Call,
    Edge,
    Kind,
    Matching,
    Negate,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    String,
    Subquery,
)  # fmt: skip

_KINDS = {Kind.SCALAR: "scalar", Kind.VECTOR: "vector", Kind.MATRIX: "matrix", Kind.STRING: "string"}


def tree(node: Node | None) -> dict[str, Any] | None:
    """The JSON form of a plan."""
    if node is None:
        return None
    if isinstance(node, Number):
        return {"type": "numberLiteral", "val": go_general(node.value)}
    if isinstance(node, String):
        return {"type": "stringLiteral", "val": node.value}
    if isinstance(node, Selector):
        return {"type": "vectorSelector", **_selector(node)}
    if isinstance(node, RangeSelector):
        span = _length("range", node.range_ms, node.range_written)
        return {"type": "matrixSelector", **span, **_selector(node.selector)}
    if isinstance(node, Subquery):
        span = _length("range", node.range_ms, node.range_written)
        step = _length("step", node.step_ms or 0, node.step_written)
        return {"type": "subquery", "expr": tree(node.expr), **span, **step, **_times(node)}
    return _composed(node)


def _composed(node: Node) -> dict[str, Any]:
    if isinstance(node, Call):
        s = SIGNATURES[node.name]
        func = {"name": node.name, "argTypes": [_KINDS[k] for k in s.args], "variadic": s.optional,
                "returnType": _KINDS[s.returns]}  # fmt: skip
        return {"type": "call", "func": func, "args": [tree(a) for a in node.args]}
    if isinstance(node, Aggregate):
        return {
            "type": "aggregation", "op": node.op, "expr": tree(node.expr), "param": tree(node.param),
            "grouping": list(node.labels), "without": node.without,
        }  # fmt: skip
    if isinstance(node, Binary):
        return {
            "type": "binaryExpr", "op": node.op, "lhs": tree(node.left), "rhs": tree(node.right), "bool": node.bool_,
            "matching": _matching(node.matching),
        }  # fmt: skip
    if isinstance(node, Negate):
        return {"type": "unaryExpr", "op": "-", "expr": tree(node.expr)}
    assert isinstance(node, Paren)
    return {"type": "parenExpr", "expr": tree(node.expr)}


def _selector(node: Selector) -> dict[str, Any]:
    name = node.matchers[-1].value if node.is_named else ""
    matchers = [{"name": m.name, "type": m.op.value, "value": m.value} for m in node.matchers]
    edges = {edge.value: node.edge is edge for edge in (Edge.ANCHORED, Edge.SMOOTHED)}
    return {"name": name, "matchers": matchers, **_times(node), **edges}


def _times(node: Selector | Subquery) -> dict[str, Any]:
    edge = node.at.value.removesuffix("()") if isinstance(node.at, AtEdge) else None
    fixed = None if isinstance(node.at, AtEdge) else node.at
    return {**_length("offset", node.offset_ms, node.offset_written), "timestamp": fixed, "startOrEnd": edge}


def _length(name: str, ms: int, written: Operation | None) -> dict[str, Any]:
    return {name: 0 if written is not None else ms, f"{name}Expr": lengths.tree(written)}


def _matching(m: Matching | None) -> dict[str, Any] | None:
    if m is None:
        return None
    fills = {"lhs": m.fill_left, "rhs": m.fill_right}
    sides = {"labels": list(m.labels), "on": m.on, "include": list(m.include)}
    return {"card": m.card.value, **sides, "fillValues": fills}
