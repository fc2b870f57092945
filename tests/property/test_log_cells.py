"""Counts from cells against a count of the records one by one, whatever windows, filters and groups are asked for."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from log_recipes import Record, logs_batch

from obs.columnar.options import EngineOptions
from obs.logstore.logql import LogQL
from obs.logstore.selection import Selection, Stats
from obs.logstore.store import LogStore

RECORDS = st.builds(
    Record,
    time_ns=st.integers(-3 * 10**9, 40 * 10**9) | st.integers(0, 7300).map(lambda s: s * 10**9),
    body=st.sampled_from(["", "one", "three", "naïve"]),
    resource=st.fixed_dictionaries(
        {"service.name": st.sampled_from(["a", "b"])}, optional={"env": st.sampled_from(["dev", "prod"])}
    ),
    attributes=st.fixed_dictionaries({}, optional={"user": st.sampled_from(["x", "y"]), "env": st.just("own")}),
    severity=st.sampled_from(["", "INFO", "ERROR", "odd"]),
)
Keep = Callable[[Record], bool]
FILTERS: dict[str, Keep] = {
    "": lambda r: True,
    '| detected_level = "error"': lambda r: r.severity == "ERROR",
    '| level != "info" and service_name = "a"': lambda r: r.severity != "INFO" and r.resource["service.name"] == "a",
    '| severity_text =~ "odd|INFO"': lambda r: r.severity in ("odd", "INFO"),
    '| user = "x"': lambda r: r.attributes.get("user") == "x",
    '| env = "own"': lambda r: env(r) == "own",
    '| absent_label = ""': lambda r: True,
}


def env(record: Record) -> str:
    return str(record.resource.get("env") or record.attributes.get("env", ""))


GROUPS: dict[str, Callable[[Record], tuple[str, ...]]] = {
    "service_name": lambda r: (r.resource["service.name"],),
    "env": lambda r: (env(r),),
    "severity_text": lambda r: (r.severity,),
    "user": lambda r: (str(r.attributes.get("user", "")),),
    "absent_label": lambda r: ("",),
}


@given(
    st.lists(RECORDS, min_size=1, max_size=12),
    st.integers(1, 40),
    st.sampled_from(list(FILTERS)),
    st.sampled_from(list(GROUPS)),
    st.sampled_from(["count", "bytes"]),
    st.integers(-5, 50),
    st.sampled_from([1, 7, 10, 60, 600, 3600]),
    st.sampled_from([1, 10, 60, 3600, 9000]),
    st.sampled_from([0, 1, 10**9 // 2]),
)
@examples(120)
def test_counts_are_those_of_the_records(
    seeds: list[Record], copies: int, keep: str, by: str, op: str, start_s: int, step_s: int, range_s: int, off_ns: int
) -> None:
    records = [r for r in seeds for _ in range(copies)]
    start, step, width = start_s * 10**9 + off_ns, step_s * 10**9, range_s * 10**9
    query = f"sum by ({by}) ({op}_over_time({{}} {keep} [{range_s}s]))"
    with tempfile.TemporaryDirectory() as folder:
        store = LogStore(Path(folder), EngineOptions(compact_interval_s=3600))
        store.open()
        store.consume(logs_batch(records))
        store.flush()
        matrix, steps, _ = LogQL(store).range(query, start, start + 12 * step, step)
        store.close()
    found = {
        (tuple(v for _, v in labels) or ("",), i): int(value)
        for labels, row, there in zip(matrix.labels, matrix.values, matrix.present, strict=True)
        for i, value in enumerate(row)
        if there[i]
    }
    expected: Counter[tuple[tuple[str, ...], int]] = Counter()
    for i in range(steps.count):
        for r in records:
            if FILTERS[keep](r) and start + i * step - width < r.time_ns <= start + i * step:
                expected[GROUPS[by](r), i] += 1 if op == "count" else len(r.body.encode())
    assert found == dict(expected)


def test_whole_intervals_are_counted_without_reading_a_row_group(tmp_path: Path) -> None:
    """And only row groups with rows that a window cuts are read, else."""
    rng = np.random.default_rng(1)
    times = np.sort(rng.integers(0, 3600, 20_000)) * 10**9
    records = [
        Record(int(t), "x", {"service.name": "ab"[i % 2]}, {}, severity="INFO" if i % 9 else "ERROR")
        for i, t in enumerate(times)
    ]
    store = LogStore(tmp_path, EngineOptions(compact_interval_s=3600))
    store.open()
    store.consume(logs_batch(records))
    store.flush()
    logql = LogQL(store)
    query = 'sum by (detected_level) (count_over_time({service_name="a"} [1m]))'
    matrix, _, stats = logql.range(query, 0, 3600 * 10**9, 60 * 10**9)
    assert stats.row_groups == 0
    assert matrix.values.sum() == sum(1 for r in records if r.resource["service.name"] == "a")
    _, _, cut = logql.range(query, 60 * 10**9 + 5, 3600 * 10**9, 60 * 10**9)
    assert cut.row_groups == 1
    store.delete('{service_name="a"} | severity_text = "ERROR"')
    matrix, _, _ = logql.range(query, 0, 3600 * 10**9, 60 * 10**9)
    assert matrix.values.sum() == sum(1 for r in records if r.resource["service.name"] == "a" and r.severity == "INFO")
    with store.read(Selection(), Stats()) as units:
        assert sum(unit.rows for unit in units) == len(records)
    store.close()
