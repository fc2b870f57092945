"""`/api/v1/query_why`: why a query gives nothing. The parameters are those of `query`, or of `query_range` with `step`.

Answer: `{"empty": true, "reasons": [{"line", "column", "expression", "text"}]}`.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from obs.errors import QueryError
from obs.tsdb.api_query import BadParameter, read_duration, read_lookback, read_time
from obs.tsdb.params import Params
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.context import ExecutionError
from obs.tsdb.store import MetricStore
from obs.tsdb.why.walk import When, why_empty


def query_why(store: MetricStore, promql: PromQL, given: Params) -> dict[str, Any]:
    """The reasons. Raises: QueryError, QueryLimit."""
    names = ("query", "time", "start", "end", "step", "lookback_delta")
    p = {name: given.text(name) for name in names}
    lookback = read_lookback(p) or promql.options.lookback_ms
    step = read_duration(p, "step")
    if step is None:
        t_ms = read_time(p, "time", store.clock.now_ns() // 1_000_000)
        when = When(t_ms, t_ms, 0, lookback)
    else:
        when = When(read_time(p, "start"), read_time(p, "end"), step, lookback)
    try:
        reasons = why_empty(store, promql, p["query"], when)
    except ExecutionError:
        raise
    except QueryError as e:
        raise BadParameter("query", str(e)) from None
    return {"empty": bool(reasons), "reasons": [asdict(reason) for reason in reasons]}
