"""Queries over parsed lines give the same whether a kernel and columns give the labels or each line is parsed."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_recipes import Record, logs_batch

from obs import warm
from obs.errors import QueryError
from obs.logstore.indexing import KERNELS
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore

S = 10**9
BODIES = [
    '{"status":500,"level":"error","took":1.50}', '{"status":200,"level":"info","took":2}',
    '{"status":"x","took":null}', '{"status":404,"user":"b","http":{"path":"/a b"}}', '{"status":500,"status":1}',
    '{"level":"\\u0065rror","took":3}', '{"took":1e2,"level":"error"}', "status=500 level=error took=1.5",
    'status=200 level="error" took=2 user=z', 'status=  level="er\\"ror" took=x', "plain words", "", '{"status":500',
    '{"level":{"x":1},"level":"error"}', '{"__error__":"mine","status":500}', "level=error level=info",
    '{"took":7,"user":""}',
]  # fmt: skip
RECORDS = st.builds(
    Record,
    time_ns=st.integers(1, 40).map(lambda s: s * S),
    body=st.sampled_from(BODIES),
    resource=st.fixed_dictionaries({"service.name": st.sampled_from(["a", "b"])}, optional={"level": st.just("own")}),
    attributes=st.fixed_dictionaries({}, optional={"user": st.sampled_from(["x", "y"]), "status": st.just(500)}),
)
FILTERS = [
    "", "| status >= 500", '| level = "error"', '| level != "error" or took > 1', '| user = "z"', '| status = "500"',
    '| status_extracted = "500"', '| status >= 400 | took < 3 | __error__ = ""', '|= "error" | level = "error"',
    '| __error__ = ""', '| http_path = "/a b"', '| level =~ "e.*" | drop user', "| keep level, status | status > 1",
    '| line_format "{{.level}}" |= "error"', '| label_format sev=level, twice="{{.took}}{{.took}}" | sev = "error"',
    '| logfmt | level = "error"', '| json | level = "error"', '| level = "" | user = ""',
]  # fmt: skip
SHAPES = [
    "%s", "sum(count_over_time(%s | __error__ = `` [20s]))", "sum by (level, status) (count_over_time(%s [20s]))",
    "count_over_time(%s | __error__ = `` [20s])",
    "sum by (level) (sum_over_time(%s | unwrap took | __error__ = `` [30s]))",
    "max by (took) (max_over_time(%s | unwrap took | __error__ = `` [30s]))",
    "avg_over_time(%s | unwrap took | __error__ = `` [30s]) by (user_extracted, user)", "absent_over_time(%s [5s])",
    "sum by (status) (rate(%s | unwrap took | __error__ = `` [30s]))",
]  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def compiled() -> Iterator[None]:
    warm.load_now(KERNELS)
    yield
    warm._state.ready.add(KERNELS)


def answer(store: LogStore, query: str) -> Any:
    logql = LogQL(store)
    try:
        if logql.is_records(query):
            return logql.records(query, 0, 60 * S, 1000).entries
        matrix, _, _ = logql.range(query, 10 * S, 50 * S, 10 * S)
    except QueryError as e:
        return str(e).split(";")[0].split(" for series")[0]
    shown = {labels: (matrix.present[i], matrix.values[i]) for i, labels in enumerate(matrix.labels)}
    return {labels: [round(v, 9) if p else None for p, v in zip(*row, strict=True)] for labels, row in shown.items()}


@given(
    st.lists(RECORDS, min_size=1, max_size=10),
    st.sampled_from(["json", "logfmt"]),
    st.lists(st.sampled_from(FILTERS), max_size=2),
    st.sampled_from(SHAPES),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_answers_are_those_of_parsing_each_line(
    records: list[Record], parser: str, filters: list[str], shape: str, flushed: bool
) -> None:
    query = shape % " ".join(["{} |", parser, *filters])
    found = []
    for ready in (False, True):
        (warm._state.ready.add if ready else warm._state.ready.discard)(KERNELS)
        with tempfile.TemporaryDirectory() as folder:
            store = LogStore(Path(folder))
            store.open()
            store.consume(logs_batch(records))
            if flushed:
                store.flush()
            found.append(answer(store, query))
            store.close()
    assert found[0] == found[1]
