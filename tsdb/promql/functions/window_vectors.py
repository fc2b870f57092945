"""What functions of windows share: their signature, and how a kernel's result becomes a vector."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from obs.tsdb.promql.context import Frame
from obs.tsdb.promql.plan import Call
from obs.tsdb.promql.values import F64, Bool, Vector, Windows

WindowFunction = Callable[[Frame, Call, Windows], Vector]
Kernel = Callable[[Windows], tuple[F64, Bool]]


def floats(kernel: Kernel, keeps_name: bool = False) -> WindowFunction:
    """A function over the floats of each window; histograms are left out, with an info where floats are there too."""

    def function(frame: Frame, call: Call, windows: Windows) -> Vector:
        if windows.hists is not None:
            from obs.tsdb.promql.functions.histogram_windows import drop_histograms

            windows = drop_histograms(frame, call, windows)
        return vector_of(windows, *kernel(windows), keeps_name=keeps_name)

    return function


def vector_of(windows: Windows, values: F64, present: Bool, keeps_name: bool = False) -> Vector:
    """The result of a kernel as a vector; the metric name goes, but for functions that give samples back unchanged."""
    drop = windows.drop_name if keeps_name else np.ones(windows.series, np.bool_)
    return Vector(windows.labels, windows.widen(values), windows.widen(present), drop).compact()
