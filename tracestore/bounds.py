"""What the traces table alone says about an expression: traces that may match, and whether they surely do.

A pure search by service, status or duration is answered without reading a span.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from obs.tracestore.expressions import And, Attribute, Compare, Expr, Intrinsic, Or, Planned
from obs.tracestore.ids import full_id
from obs.tracestore.names import ERROR
from obs.tracestore.summaries import TraceRows

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Bound:
    """Traces that may hold a matching span; where `exact`, each of them does."""

    may: Mask
    exact: bool


def trace_bound(expr: Expr | None, traces: TraceRows) -> Bound:
    """The bound of an expression over all traces of a place."""
    everything = np.ones(len(traces), bool)
    if expr is None:
        return Bound(everything, True)
    if isinstance(expr, And | Or):
        bounds = [trace_bound(item, traces) for item in expr.items]
        if isinstance(expr, Or) and not bounds:
            return Bound(~everything, True)
        if isinstance(expr, Or):
            return Bound(np.logical_or.reduce([b.may for b in bounds]), all(b.exact for b in bounds))
        spans = sum(not _of_whole_trace(i) for i in expr.items)  # of two span conditions each may hold elsewhere
        return Bound(np.logical_and.reduce([b.may for b in bounds]), spans <= 1 and all(b.exact for b in bounds))
    if isinstance(expr, Compare):
        return _compare(expr, traces) or Bound(everything, False)
    if isinstance(expr, Planned):
        return expr.bound(traces)
    return Bound(everything, False)


def _compare(expr: Compare, t: TraceRows) -> Bound | None:
    field, op, value = expr.field, expr.op, expr.value
    if isinstance(value, bool):
        return None
    if field == Attribute("resource", "service.name") and op == "=" and isinstance(value, str):
        return Bound(t.with_service(value), True)
    if field == Intrinsic("status") and op == "=" and value == ERROR:
        return Bound(t.errors > 0, True)
    if field == Intrinsic("duration") and op in (">", ">=") and isinstance(value, int | float):
        return Bound(t.longest > value if op == ">" else t.longest >= value, True)
    if field == Intrinsic("trace:id") and op == "=" and isinstance(value, str):
        return Bound(_with_id(t, value), True)
    if field == Intrinsic("traceDuration") and isinstance(value, int | float):
        return _number(t.duration, op, value)
    if field == Intrinsic("rootServiceName") and op == "=" and isinstance(value, str):
        return Bound(t.root_service == _code(t.services, value), True)
    if field == Intrinsic("rootName") and op == "=" and isinstance(value, str):
        return Bound(t.root_name == _code(t.names, value), True)
    return None


def _with_id(t: TraceRows, text: str) -> Mask:
    """The one trace of an id in hex, as `padded_id` writes it."""
    found = np.zeros(len(t), bool)
    if full_id(text) and (at := t.find(bytes.fromhex(text))) >= 0:
        found[at] = True
    return found


def _number(values: npt.NDArray[np.int64], op: str, value: float) -> Bound | None:
    masks = {
        "=": values == value, "!=": values != value, "<": values < value,
        "<=": values <= value, ">": values > value, ">=": values >= value,
    }  # fmt: skip
    return Bound(masks[op], True) if op in masks else None


def _code(values: list[str], value: str) -> int:
    return values.index(value) if value in values else -2


def _of_whole_trace(expr: Expr) -> bool:
    """Whether the expression holds for all spans of a trace or for none, so that it may be joined with others."""
    fields = ("trace:id", "traceDuration", "rootServiceName", "rootName")
    return isinstance(expr, Compare) and isinstance(expr.field, Intrinsic) and expr.field.name in fields
