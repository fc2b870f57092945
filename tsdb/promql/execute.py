"""Walks a plan: one table says which operator evaluates which node."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions.table import FUNCTIONS
from obs.tsdb.promql.operators import aggregate, binary, negate, selector, subquery
from obs.tsdb.promql.plan import (
    Aggregate,
    Binary,
    Call,
    Negate,
    Node,
    Number,
    Paren,
    RangeSelector,
    Selector,
    String,
    Subquery,
)  # fmt: skip
from obs.tsdb.promql.values import Scalar, Text, Value


def _number(frame: Frame, node: Node) -> Scalar:
    assert isinstance(node, Number)
    return Scalar(np.full(frame.steps.count, node.value))


def _string(frame: Frame, node: Node) -> Text:
    assert isinstance(node, String)
    return Text(node.value)


def _paren(frame: Frame, node: Node) -> Value:
    assert isinstance(node, Paren)
    return run(frame, node.expr)


def _call(frame: Frame, node: Node) -> Value:
    assert isinstance(node, Call)
    return FUNCTIONS[node.name](frame, node)


OPERATORS: dict[type[Node], Callable[[Frame, Node], Value]] = {
    Number: _number,
    String: _string,
    Paren: _paren,
    Selector: selector.instant,
    RangeSelector: selector.windows,
    Subquery: subquery.subquery,
    Call: _call,
    Aggregate: aggregate.aggregate,
    Binary: binary.binary,
    Negate: negate.negate,
}


def run(frame: Frame, node: Node) -> Value:
    """The value of a node on a frame's steps."""
    return OPERATORS[type(node)](frame, node)
