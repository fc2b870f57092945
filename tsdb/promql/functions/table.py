"""Every function of PromQL by name: the one list. Functions of windows stand in `over_windows`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.functions.clocks import CLOCKS
from obs.tsdb.promql.functions.elementwise import ELEMENTWISE
from obs.tsdb.promql.functions.histograms import HISTOGRAMS
from obs.tsdb.promql.functions.info import info
from obs.tsdb.promql.functions.label_edits import LABEL_EDITS
from obs.tsdb.promql.functions.over_windows import WINDOW_FUNCTIONS
from obs.tsdb.promql.functions.presence import PRESENCE
from obs.tsdb.promql.functions.signatures import SIGNATURES
from obs.tsdb.promql.functions.window_vectors import WindowFunction
from obs.tsdb.promql.operators.slices import in_order, in_slices, slices
from obs.tsdb.promql.plan import Call, Kind
from obs.tsdb.promql.values import Value


def _windowed(name: str, function: WindowFunction) -> Callable[[Frame, Call], Value]:
    position = SIGNATURES[name].args.index(Kind.MATRIX)

    def evaluate(frame: Frame, call: Call) -> Value:
        if in_slices(call):
            return in_order(list(slices(frame, call)), frame.steps.count)
        return function(frame, call, frame.windows(call.args[position]))

    return evaluate


FUNCTIONS: dict[str, Callable[[Frame, Call], Any]] = {
    **{name: _windowed(name, function) for name, function in WINDOW_FUNCTIONS.items()},
    **ELEMENTWISE,
    **CLOCKS,
    **LABEL_EDITS,
    **PRESENCE,
    **HISTOGRAMS,
    "info": info,
}
