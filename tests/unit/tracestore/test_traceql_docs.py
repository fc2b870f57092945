"""docs/traceql.md: every query in it is planned and runs, and every operator, function and field stands in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from span_batches import SpanRow, spans_batch

from obs.tracestore.nested import FIXED
from obs.tracestore.query import TraceQuery
from obs.tracestore.store import TraceStore
from obs.tracestore.tags import ALIASES
from obs.tracestore.traceql import plan
from obs.tracestore.traceql.metrics import MEASURES
from obs.tracestore.traceql.metrics.window import Window
from obs.tracestore.traceql.operators import OPERATORS
from obs.tracestore.traceql.stages.scalars import AGGREGATES

TEXT = (Path(__file__).parents[3] / "docs" / "traceql.md").read_text()
EXAMPLES = [line for block in re.findall(r"```traceql\n(.*?)```", TEXT, re.S) for line in block.splitlines()]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> TraceStore:
    made = TraceStore(tmp_path_factory.mktemp("traces"))
    made.open()
    made.consume(spans_batch(SpanRow(1, 1, attributes={"retries": 3}), SpanRow(1, 2, 1, status=2)))
    return made


@pytest.mark.parametrize("query", EXAMPLES)
def test_every_query_runs_and_reads_as_it_prints(query: str, store: TraceStore) -> None:
    asked = plan(query)
    assert str(plan(str(asked))) == str(asked)
    if asked.metric is None:
        wanted = asked.asked(TraceQuery())
        store.spansets(asked, [t.trace_id for t in store.search(wanted).traces], wanted)
    else:
        store.measure(asked, Window.over(0, 10**9, None), 5)


def test_all_that_there_is_stands_in_the_page() -> None:
    fixed = [f"{name}{field}" for name, fields in FIXED.items() for field in fields]
    aliases = [name for name in ALIASES if ":" in name and not name.startswith("span:")]
    words = [*AGGREGATES, *MEASURES, "compare", "topk", "bottomk", "coalesce", "select", *fixed, *aliases]
    assert [word for word in words if word not in TEXT] == []
    bases = {name.lstrip("&!") for name in OPERATORS if name not in ("&&", "||")}
    assert [name for name in bases if f"`{name}`" not in TEXT] == []
