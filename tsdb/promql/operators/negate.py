"""Unary minus: the sign changes, the metric name goes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.plan import Negate, Node
from obs.tsdb.promql.values import Scalar, Vector


def negate(frame: Frame, node: Node) -> Scalar | Vector:
    """Minus a scalar or a vector."""
    assert isinstance(node, Negate)
    value = frame.value(node.expr)
    if isinstance(value, Scalar):
        return Scalar(-value.values)
    assert isinstance(value, Vector)
    hists = value.hists
    if hists is not None:
        flat = [None if h is None else h.scale(-1.0) for h in hists.ravel()]
        filled = np.empty(len(flat), np.object_)
        filled[:] = flat
        hists = filled.reshape(hists.shape)
    return replace(value, values=-value.values, hists=hists, drop_name=np.ones_like(value.drop_name))
