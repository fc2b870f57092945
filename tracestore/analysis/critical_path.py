"""Where the time of traces goes: the critical path of one, and the shares of services and operations over many.

Of many the slowest part is told beside all of them, to see where a high percentile comes from.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from obs.tracestore.analysis.operations import (
    critical_times,
    operation_codes,
    operation_of,
    self_times,
    traces_at,
)
from obs.tracestore.sources import MemorySource


def path_of_one(source: MemorySource) -> dict[str, Any]:
    """The spans on the critical path of the first trace, by their start as adjusted."""
    c, dag, t = source.spans, source.dag, source.traces
    codes, _ = operation_codes(source)
    duration, critical, own = c.duration, critical_times(source), self_times(source)
    start = c.start + dag.skew
    on_path = np.flatnonzero(critical > 0)
    on_path = on_path[np.lexsort((dag.left[on_path], start[on_path]))]
    total = int(critical.sum())
    spans = []
    for i in on_path.tolist():
        service, name = operation_of(source, int(codes[i]))
        spans.append({
            "spanId": f"{int(c.span[i]):016x}", "service": service, "name": name, "startNs": int(start[i]),
            "durationNs": int(duration[i]), "selfNs": int(own[i]), "criticalNs": int(critical[i]),
            "share": int(critical[i]) / total, "depth": int(dag.depth[i]),
        })  # fmt: skip
    return {"durationNs": int(t.duration[0]), "criticalNs": total, "spans": spans}


def path_of_many(source: MemorySource, quantile: float) -> dict[str, Any]:
    """Shares of the critical paths by service and operation, of all the traces and of those from `quantile` on.

    A share is of the critical time of its traces; entries come by their share of the slow ones.
    """
    codes, count = operation_codes(source)
    critical, trace = critical_times(source), traces_at(source)
    duration = source.traces.duration
    bound = int(np.quantile(duration, quantile, method="higher"))
    slow = (duration >= bound)[trace]
    all_time = np.bincount(codes, critical, count)
    slow_time = np.bincount(codes[slow], critical[slow], count)
    on_path = np.bincount(codes[critical > 0], minlength=count)
    seen = np.flatnonzero(all_time > 0)
    seen = seen[np.argsort(-slow_time[seen], kind="stable")]
    entries = []
    for code in seen.tolist():
        service, name = operation_of(source, code)
        entries.append({
            "service": service, "name": name, "criticalNs": int(all_time[code]), "spansOnPath": int(on_path[code]),
            "share": _share(all_time[code], all_time.sum()), "slowShare": _share(slow_time[code], slow_time.sum()),
        })  # fmt: skip
    return {
        "traces": len(duration), "slowTraces": int((duration >= bound).sum()), "quantile": quantile,
        "slowFromNs": bound, "operations": entries,
    }  # fmt: skip


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
