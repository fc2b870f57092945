"""Streams, folding past the column limit, tokens and needles, on tables small enough to read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from log_recipes import NS, Record, logs_batch

from obs import warm
from obs.columnar.overflow import fold_columns
from obs.logstore.literals import required_literals
from obs.logstore.logql import LogQL
from obs.logstore.ordering import OrderedRows
from obs.logstore.selection import Selection, Stats
from obs.logstore.store import LogStore
from obs.logstore.streams import StreamMapper
from obs.logstore.tokens import phrase_needle, substring_needle, token_hash
from obs.model.labels import labels_id
from obs.model.schema import OVERFLOW


def test_stream_ids_follow_the_resource() -> None:
    a, b = {"service.name": "a", "k8s.pod.name": "p-1"}, {"host.name": "h"}
    batch = logs_batch([Record(i, "", r) for i, r in enumerate([a, a, b, a, {}])]).tables["logs"]
    mapper = StreamMapper()
    first, again, other, last, none = mapper.ids(batch).to_pylist()
    assert first == again == last == labels_id((("k8s_pod_name", "p-1"), ("service_name", "a")))
    assert mapper.labels(other) == (("host_name", "h"), ("service_name", "unknown_service"))
    assert mapper.labels(none) == (("service_name", "unknown_service"),)


def test_streams_may_be_named_by_other_attributes() -> None:
    batch = logs_batch([Record(1, "", {"team": "red", "service.name": "a"})]).tables["logs"]
    mapper = StreamMapper(["team"])
    assert mapper.labels(mapper.ids(batch)[0].as_py()) == (("service_name", "unknown_service"), ("team", "red"))


def test_rare_columns_fold_into_the_overflow() -> None:
    table = pa.table(
        {
            "time_ns": [1, 2, 3],
            "attr.often:str": ["a", "b", "c"],
            "attr.rare:int": pa.array([None, 5, None], pa.int64()),
            "attr.rarer:bool": pa.array([None, True, None]),
        }
    )
    folded = fold_columns(table, 1)
    assert folded.column_names == ["time_ns", "attr.often:str", OVERFLOW]
    assert folded.column(OVERFLOW).to_pylist() == [[], [("attr.rare:int", "5"), ("attr.rarer:bool", "true")], []]
    again = fold_columns(folded.append_column("attr.new:str", pa.array(["x", None, "z"])), 1)
    assert dict(again.column(OVERFLOW).to_pylist()[1]) == {"attr.rare:int": "5", "attr.rarer:bool": "true"}
    assert again.column(OVERFLOW).to_pylist()[0] == [("attr.new:str", "x")]


@pytest.mark.parametrize("flushed", [False, True])
def test_folded_attributes_stay_searchable(tmp_path: Path, flushed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obs.logstore.layout.MAX_ATTRIBUTE_COLUMNS", 3)
    warm.load_now("obs.logstore.kernels")
    store = LogStore(tmp_path)
    store.open()
    wide = {f"key.{i}": f"value-{i}" for i in range(20)}
    store.consume(
        logs_batch([Record(NS, "wide", {"service.name": "a"}, wide), Record(2 * NS, "slim", {}, {"key.0": "x"})])
    )
    if flushed:
        store.flush()
    logql = LogQL(store)
    for query in ('{} | key_17 = "value-17"', '"value-17"', '{key_17="value-17"}'):
        (entry,) = logql.records(query, 0, 1 << 62).entries
        assert entry.line == "wide" and entry.metadata["key_17"] == "value-17"
    store.close()


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("took \\d+ms", ["took ", "ms"]),
        ("a(bc|d)e", ["a", "e"]),
        ("(?i)Error: (x)+", ["Error: ", "x"]),
        ("(abc)?d*e{2}", ["e"]),
        ("[[:alpha:]]x", []),
        ("\\Qa.b\\E", []),
        ("(?i)é", []),
    ],
)
def test_literals_of_a_regex(pattern: str, literals: list[str]) -> None:
    assert required_literals(pattern) == literals


def test_needles() -> None:
    assert substring_needle("user=u12 code=5").hashes == tuple(sorted({token_hash(b"u12"), token_hash(b"code")}))
    assert substring_needle("user").hashes == ()
    assert phrase_needle("Two Words").hashes == tuple(sorted({token_hash(b"two"), token_hash(b"words")}))
    assert not substring_needle("ab")


def test_row_groups_are_ruled_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obs.logstore.limits.ROW_GROUP_ROWS", 10)
    warm.load_now("obs.logstore.kernels")
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch([Record(i, f"line number{i} end", {"service.name": f"s{i // 50}"}) for i in range(100)]))
    store.flush()
    logql = LogQL(store)
    for query, groups in [
        ('{} |= "number57"', 1), ("number57", 1), ('{} |= "absent"', 0), ('{} |~ "r57 e"', 1),
        ('{service_name="s1"}', 5),
    ]:  # fmt: skip
        found = logql.records(query, 0, 1000)
        assert found.stats.row_groups == groups, query
    assert logql.records("{}", 20, 30).stats.row_groups == 1
    with store.read(Selection(), Stats()) as units:
        assert sum(unit.rows for unit in units) == 100
    store.close()


def test_a_block_without_filters_is_read_by_its_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obs.logstore.indexing.ready", lambda: False)
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch([Record(1, "some text"), Record(2, "other text")]))
    store.flush()
    assert [e.line for e in LogQL(store).records('{} |= "other"', 0, 10).entries] == ["other text"]
    store.close()


def test_a_row_group_holds_its_own_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("obs.logstore.limits.ROW_GROUP_ROWS", 10)
    monkeypatch.setattr("obs.logstore.limits.SHARED_DICTIONARY_VALUES", 5)
    column = pa.array([f"pod-{i // 2}" for i in range(40)]).dictionary_encode()
    table = pa.table({"resource.k8s.pod.name:str": column.slice(0, 20)})
    both = pa.concat_tables([table, pa.table({"resource.k8s.pod.name:str": column.slice(20)})])
    groups = [part.column(0).chunk(0) for part in OrderedRows(both, np.arange(40)[::-1]).parts(10)]
    assert [len(group.dictionary) for group in groups] == [5, 5, 5, 5]
    assert [pod for group in groups for pod in group.to_pylist()] == column.to_pylist()[::-1]


@pytest.mark.parametrize("flushed", [False, True])
def test_a_trace_id_is_found_in_its_field_and_in_an_attribute(tmp_path: Path, flushed: bool) -> None:
    warm.load_now("obs.logstore.kernels")
    one, other = bytes(range(16)), bytes(range(1, 17))
    store = LogStore(tmp_path)
    store.open()
    records = [Record(1, "own", trace_id=one), Record(2, "as text", attributes={"trace_id": other.hex()}), Record(3)]
    store.consume(logs_batch(records))
    if flushed:
        store.flush()
    for wanted, line in ((one, "own"), (other, "as text")):
        for query in (f'{{}} | trace_id="{wanted.hex()}"', wanted.hex(), f'{{trace_id="{wanted.hex()}"}}'):
            assert [e.line for e in LogQL(store).records(query, 0, 10).entries] == [line]
    store.close()
