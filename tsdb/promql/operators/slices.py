"""A vector in slices of its series: what keeps aggregations over long ranges of many series in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.plan import Call, Node, RangeSelector, unwrap
from obs.tsdb.promql.values import Vector


def slices(frame: Frame, node: Node) -> Iterator[Vector]:
    """The vector of `node`, some series at a time where it is a function over the windows of a selector."""
    from obs.tsdb.promql.functions.over_windows import WINDOW_FUNCTIONS

    inner = unwrap(node)
    function = WINDOW_FUNCTIONS.get(inner.name) if isinstance(inner, Call) else None
    if function is None or not isinstance(inner, Call) or not isinstance(unwrap(inner.args[-1]), RangeSelector):
        yield frame.vector(node)
        return
    windows = frame.windows(inner.args[-1])
    rows = max(1, frame.query.options.slice_cells // max(1, windows.width))
    for lo in range(0, windows.series, rows):
        frame.query.check_time()
        yield function(frame, inner, windows.slice(lo, lo + rows))
