"""Plan → the JSON tree that `/api/v1/parse_query` answers with, in Prometheus's field names."""

from __future__ import annotations

from typing import Any

from obs.tsdb.promql.formatting import go_general
from obs.tsdb.promql.functions.signatures import SIGNATURES
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
        return {"type": "matrixSelector", "range": node.range_ms, "rangeExpr": None, **_selector(node.selector)}
    if isinstance(node, Subquery):
        span = {"range": node.range_ms, "rangeExpr": None, "step": node.step_ms or 0, "stepExpr": None}
        return {"type": "subquery", "expr": tree(node.expr), **span, **_times(node.offset_ms, node.at)}
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
    name = next((m.value for m in node.matchers if m.name == "__name__" and m.op.value == "="), "")
    matchers = [{"name": m.name, "type": m.op.value, "value": m.value} for m in node.matchers]
    edges = {edge.value: node.edge is edge for edge in (Edge.ANCHORED, Edge.SMOOTHED)}
    return {"name": name, "matchers": matchers, **_times(node.offset_ms, node.at), **edges}


def _times(offset_ms: int, at: int | AtEdge | None) -> dict[str, Any]:
    edge = at.value.removesuffix("()") if isinstance(at, AtEdge) else None
    return {
        "offset": offset_ms,
        "offsetExpr": None,
        "timestamp": None if isinstance(at, AtEdge) else at,
        "startOrEnd": edge,
    }


def _matching(m: Matching | None) -> dict[str, Any] | None:
    if m is None:
        return None
    fills = {"lhs": m.fill_left, "rhs": m.fill_right}
    sides = {"labels": list(m.labels), "on": m.on, "include": list(m.include)}
    return {"card": m.card.value, **sides, "fillValues": fills}
