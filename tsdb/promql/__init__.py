"""PromQL: text → plan → columnar execution over any SampleSource. Importing this loads no kernel and no numba."""

from obs.tsdb.promql.context import ExecutionError, QueryOptions, QueryTimeout
from obs.tsdb.promql.engine import PromQL
from obs.tsdb.promql.result import Result

__all__ = ["ExecutionError", "PromQL", "QueryOptions", "QueryTimeout", "Result", "warm"]


def warm() -> None:
    """Compile every kernel (from cache after the first run); meant for a background thread at start."""
    from obs.tsdb.promql.warming import warm as compile_all

    compile_all()
