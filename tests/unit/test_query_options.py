"""What the configuration says of queries reaches the engine, at the start and when it is read again."""

from __future__ import annotations

from obs.app import _query_options
from obs.config import Config
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.scripts.memory import MemorySource


def test_subqueries_without_a_step_take_the_evaluation_interval() -> None:
    config = Config.model_validate({"global": {"evaluation_interval": "15s"}})
    promql = PromQL(MemorySource(), _query_options(config))
    assert promql.query("count_over_time(vector(1)[1m:])", 600_000).values.tolist() == [[4.0]]
    promql.set_subquery_step(30_000)
    assert promql.query("count_over_time(vector(1)[1m:])", 600_000).values.tolist() == [[2.0]]
