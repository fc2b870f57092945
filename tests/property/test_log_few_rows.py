"""The columns of a few rows of a block against the same rows of its whole columns, and answers made of either."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from log_recipes import NS, Record, logs_batch

from obs import warm
from obs.logstore import chunks, limits, rowgroups
from obs.logstore.blockindex import BlockIndex, read_index
from obs.logstore.filenames import RECORDS
from obs.logstore.logql import LogQL
from obs.logstore.rowgroups import group_chunk, group_rows
from obs.logstore.store import LogStore

ROWS = 900
GROUP = 300


def record(i: int) -> Record:
    """One of many shapes: every type of attribute, labels of streams and records alike, nulls, values that repeat."""
    attributes = {
        "unique": f"id-{i * 7919}", "word": ["red", "", "blue"][i % 3], "number": i, "part": i / 7, "odd": i % 2 == 1,
        "raw": bytes([i % 256]), "service_name": "own",
    }  # fmt: skip
    kept = {key: value for at, (key, value) in enumerate(attributes.items()) if (i + at) % 4}
    resource = {"service.name": f"s-{i % 5}", "process.pid": f"p-{i % 40}"} if i % 11 else {"region": "eu"}
    trace = bytes([i % 256] * 16) if i % 3 else None
    severity = ["", "INFO", "ERROR"][i % 3]
    return Record((1_000 + i) * NS, f"line {i}", resource, kept, severity, trace, trace and trace[:8])


@pytest.fixture(scope="module", params=[1_000, 4], ids=["columns", "folded"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LogStore]:
    """A block of three row groups, once with attributes past the limit of columns."""
    warm.load_now("obs.logstore.kernels")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("obs.logstore.layout.MAX_ATTRIBUTE_COLUMNS", request.param)
        patch.setattr(limits, "ROW_GROUP_ROWS", GROUP)
        store = LogStore(tmp_path_factory.mktemp("few"))
        store.open()
        store.consume(logs_batch(map(record, range(ROWS))))
        store.flush()
    yield store
    store.close()


def index_of(store: LogStore) -> BlockIndex:
    (block,) = store.engine.view().blocks
    path = block.path(RECORDS)
    assert path is not None
    return read_index(path, block)


@given(st.integers(0, ROWS // GROUP - 1), st.lists(st.integers(0, GROUP - 1), max_size=20))
@examples(60)
def test_columns_of_some_rows_are_those_of_all(store: LogStore, group: int, rows: list[int]) -> None:
    index = index_of(store)
    some = group_rows(index, group, index.columns, np.array(rows, np.int64))
    whole = group_chunk(index, group)
    for name in index.columns:
        column = whole.column(name)
        assert column is not None and some[name].type == column.type == index.types[name]
        assert some[name].to_pylist() == column.take(pa.array(rows, pa.int64())).to_pylist()


QUERIES = [
    "{}",
    '{} |= "line 7"',
    '{service_name="s-1"}',
    "{} | number > 800 | drop word, level",
    '{} | unique = "id-7919"',
    "{} | pattern `<_> <n>` | keep n, raw, severity_text",
    '{} | label_format word="{{.number}}"',
]


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("limit", [1, 17, 900])
def test_answers_of_few_rows_are_those_of_whole_columns(
    store: LogStore, query: str, limit: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    logql = LogQL(store)
    few = logql.records(query, 0, 10_000 * NS, limit)
    monkeypatch.setattr(chunks, "_FEW", GROUP + 1)
    whole = logql.records(query, 0, 10_000 * NS, limit)
    assert few.entries == whole.entries and few.next == whole.next
    assert few.entries


def test_what_only_streams_hold_is_not_read_of_rows(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: set[str] = set()

    def noted(index: BlockIndex, group: int, names: Sequence[str], rows: chunks.Index) -> dict[str, pa.Array]:
        asked.update(names)
        return group_rows(index, group, names, rows)

    monkeypatch.setattr(rowgroups, "group_rows", noted)
    (entry,) = LogQL(store).records("{}", 0, 10_000 * NS, 1).entries
    assert dict(entry.stream)["service_name"] and "resource.region:str" in index_of(store).columns
    assert "severity_text" in asked and "resource.region:str" not in asked
