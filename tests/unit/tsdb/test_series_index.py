"""The series index: matchers, names and values, order of a block, and what it refuses."""

from __future__ import annotations

import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from obs.errors import UserError
from obs.model.labels import Labels, Matcher, MatchOp, labels_id, make_labels
from obs.model.schema import SERIES
from obs.tsdb import cardinality, labelrows, limits, pairs, postings
from obs.tsdb import index as index_module
from obs.tsdb.index import SeriesIndex
from obs.tsdb.promql.operators.signature import by, excluding, ordinals

FLEET = [
    make_labels(labels)
    for labels in (
        {"__name__": "up", "job": "a", "instance": "1"},
        {"__name__": "up", "job": "b", "instance": "1"},
        {"__name__": "up", "job": "b"},
        {"__name__": "down", "job": "a", "Zone": "x"},
        {"job": "nameless"},
        {},
    )
]


def table(labels: list[Labels], ids: list[int] | None = None) -> pa.RecordBatch:
    ids = ids or [labels_id(each) for each in labels]
    return pa.RecordBatch.from_pydict({"series_id": ids, "labels": [list(each) for each in labels]}, schema=SERIES)


@pytest.fixture
def index() -> SeriesIndex:
    built = SeriesIndex()
    built.add(table(FLEET[:3]))
    built.add(table(FLEET[2:]))
    return built


MATCHES = [
    ([("job", "=", "a")], [0, 3]),
    ([("job", "=", "missing")], []),
    ([("job", "!=", "a")], [1, 2, 4, 5]),
    ([("job", "!=", "")], [0, 1, 2, 3, 4]),
    ([("job", "=", "")], [5]),
    ([("instance", "=", "")], [2, 3, 4, 5]),
    ([("instance", "=~", "1|")], [0, 1, 2, 3, 4, 5]),
    ([("instance", "=~", ".+")], [0, 1]),
    ([("instance", "!~", ".+")], [2, 3, 4, 5]),
    ([("job", "=~", "a|b")], [0, 1, 2, 3]),
    ([("job", "!~", "a|b")], [4, 5]),
    ([("nowhere", "=", "x")], []),
    ([("nowhere", "!=", "x")], [0, 1, 2, 3, 4, 5]),
    ([("__name__", "=", "up"), ("job", "=", "b"), ("instance", "!=", "")], [1]),
    ([], [0, 1, 2, 3, 4, 5]),
]


@pytest.mark.parametrize(("matchers", "expected"), MATCHES)
@pytest.mark.parametrize("tail", [limits.TAIL_SERIES, 0])
def test_matching(
    index: SeriesIndex, matchers: list[tuple[str, str, str]], expected: list[int], tail: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.setattr("obs.tsdb.postings.TAIL_SERIES", tail)
    index.settle()
    mask = index.matching([Matcher(name, MatchOp(op), value) for name, op, value in matchers])
    assert np.flatnonzero(mask).tolist() == expected


def test_a_regex_that_does_not_compile_is_said(index: SeriesIndex) -> None:
    with pytest.raises(ValueError, match="cannot compile"):
        index.matching([Matcher("job", MatchOp.RE, "(")])


def test_names_and_values_of_some_series(index: SeriesIndex) -> None:
    everything, first = np.ones(6, np.bool_), np.arange(6) == 0
    assert index.label_names(everything) == ["Zone", "__name__", "instance", "job"]
    assert index.label_names(first) == ["__name__", "instance", "job"]
    assert index.label_values("job", everything) == ["a", "b", "nameless"]
    assert index.label_values("job", first) == ["a"]
    assert index.label_values("none", everything) == []


def test_labels_come_back(index: SeriesIndex) -> None:
    assert index.labels(np.arange(6)) == FLEET
    assert index.to_arrow(np.array([3, 0])).equals(table([FLEET[3], FLEET[0]]))
    assert index.ordinals(np.array([labels_id(FLEET[3]), 12345], np.uint64)).tolist() == [3, -1]


@pytest.mark.parametrize("many", [0, 1 << 16])
def test_order_of_a_block_is_metric_name_then_labels(
    index: SeriesIndex, monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr("obs.tsdb.pairs.MANY_NEW", many)
    index.add(table([make_labels({"__name__": "up", "job": text}) for text in ("é", "\U0001f600", "\uffff", "z", "")]))
    ordered = index.labels(index.sorted_by_name(np.arange(len(index))))
    everything = index.labels(np.arange(len(index)))
    assert ordered == sorted(everything, key=lambda labels: (dict(labels).get("__name__", ""), labels))
    between = make_labels({"__name__": "up", "instance": "a", "job": "ab"})
    index.add(table([between]))
    ordered = index.labels(index.sorted_by_name(np.array([len(index) - 1, 5, 0])))
    assert ordered == sorted(
        [between, FLEET[5], FLEET[0]], key=lambda labels: (dict(labels).get("__name__", ""), labels)
    )


def test_metric_names_are_empty_where_there_are_none(index: SeriesIndex) -> None:
    expected = [dict(labels).get("__name__", "") for labels in FLEET]
    assert index.metrics(np.arange(len(FLEET))).to_pylist() == expected
    assert SeriesIndex().metrics(np.empty(0, np.int64)).to_pylist() == []


def test_adding_again_changes_nothing(index: SeriesIndex) -> None:
    index.add(table(FLEET))
    index.add(table(FLEET).slice(2, 2))
    index.add(table([FLEET[0], FLEET[0]]))
    assert len(index) == 6


@pytest.mark.parametrize("other", [FLEET[1], FLEET[2], FLEET[5]])
def test_an_id_with_other_labels_is_refused_whole(index: SeriesIndex, other: Labels) -> None:
    new = make_labels({"__name__": "new"})
    with pytest.raises(UserError, match="belongs to other labels"):
        index.add(table([new, other], [labels_id(new), labels_id(FLEET[0])]))
    assert len(index) == 6
    assert index.labels(np.array([0])) == [FLEET[0]]


def test_one_batch_may_not_disagree_with_itself() -> None:
    index = SeriesIndex()
    with pytest.raises(UserError, match="belongs to other labels"):
        index.add(table(FLEET[:2], [7, 7]))
    assert len(index) == 0


@contextmanager
def before_each_line(look: Callable[[], None]) -> Iterator[None]:
    """Look before every line that the store runs, where another thread might as well."""

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        if "tsdb" not in frame.f_code.co_filename:
            return None
        if event == "line":
            sys.settrace(None)
            look()
            sys.settrace(trace)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


def test_who_looks_while_series_are_added_sees_some_of_them(index: SeriesIndex) -> None:
    seen: list[int] = []

    def look() -> None:
        size = len(index)
        everything = np.ones(size, np.bool_)
        assert set(index.label_names(everything)) >= {"Zone", "__name__", "instance", "job"}
        assert set(index.label_values("job", everything)) >= {"a", "b", "nameless"}
        assert index.labels(np.arange(size))[:6] == FLEET
        mask = index.matching([Matcher("new", MatchOp.NE, "")])
        assert not mask[:6].any()
        seen.append(size)

    with before_each_line(look):
        index.add(table([make_labels({"__name__": "up", "new": str(i), "newer": "x"}) for i in range(3)]))
        index.settle()
    look()
    assert len(seen) > 100
    assert sorted(set(seen)) == [6, 9]


def test_many_series_grow_everything() -> None:
    fleet = [make_labels({"__name__": f"m{i % 7}", "i": str(i)}) for i in range(10_000)]
    index = SeriesIndex()
    for low in range(0, len(fleet), 999):
        index.add(table(fleet[low : low + 999]))
    hits = np.flatnonzero(index.matching([Matcher("__name__", MatchOp.EQ, "m3"), Matcher("i", MatchOp.RE, "1.*")]))
    assert hits.tolist() == [i for i in range(10_000) if i % 7 == 3 and str(i).startswith("1")]
    assert index.labels(hits) == [fleet[i] for i in hits]
    assert index.nbytes < 4_000_000


@pytest.mark.parametrize("series", [3, labelrows.FEW - 1, 400])
def test_rows_come_in_the_order_of_their_labels(index: SeriesIndex, series: int) -> None:
    rng = np.random.default_rng(series)
    names = ["Zone", "__name__", "job", "pod", "été", "a"]
    made = {
        make_labels({name: f"{rng.integers(0, 40)}" for name in rng.permutation(names)[: rng.integers(0, 6)]}): None
        for _ in range(series)
    }
    index.add(table(list(made)))
    ordinals = rng.permutation(len(index))
    rows = labelrows.LabelRows(index, ordinals)
    assert list(rows.take(rows.order())) == sorted(index.labels(ordinals))


def test_one_series_of_many_labels_does_not_widen_the_others(index: SeriesIndex) -> None:
    many = make_labels({f"l{number}": "x" for number in range(256)})
    index.add(table([many, *(make_labels({"l1": f"{number}"}) for number in range(20_000))]))
    rows = labelrows.LabelRows(index, np.arange(len(index))[::-1])
    tracemalloc.start()
    order = rows.order()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert list(rows.take(order)) == sorted(rows)
    assert most < 4 * 256 * len(rows)  # what columns for all would take


def test_a_settled_index_answers_as_before(index: SeriesIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    def answers() -> list[object]:
        every = np.ones(len(index), np.bool_)
        names = index.label_names(every)
        found = [index.matching([Matcher("job", MatchOp.EQ, job)]).tolist() for job in "abc"]
        return [names, *(index.label_values(name, every) for name in names), *found]

    monkeypatch.setattr(postings, "TAIL_SERIES", 10)
    before = answers()
    index.settle()  # too few to be worth it
    index.add(table([make_labels({"job": "c", "pod": str(i)}) for i in range(30)]))
    grown = answers()
    index.settle()
    assert answers() == grown != before
    index.add(table([make_labels({"job": "c", "pod": "later"})]))
    assert index.label_values("pod", np.ones(len(index), np.bool_))[-1] == "later"


@pytest.mark.parametrize("most", [1, 2, 7, 39, 40, 500])
def test_the_first_rows_are_those_of_all_rows_in_order(index: SeriesIndex, most: int) -> None:
    rng = np.random.default_rng(most)
    index.add(table([make_labels({"__name__": f"m{rng.integers(0, 4)}", "pod": f"{i}"}) for i in range(34)]))
    ordinals = rng.permutation(len(index))
    assert list(labelrows.LabelRows(index, ordinals).least(most)) == sorted(index.labels(ordinals))[:most]


def test_postings_that_grow_are_those_made_at_once() -> None:
    rng = np.random.default_rng(1)
    counts = rng.integers(0, 5, 300)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    flat = np.concatenate([np.sort(rng.choice(10 + 2 * i, n, replace=False)) for i, n in enumerate(counts)])
    flat = flat.astype(np.uint32)
    whole = grown = postings.NO_BASE
    for size in (0, 1, 40, 40, 170, 300):
        grown = postings._grown(grown, flat[: offsets[size]], offsets[: size + 1])
        whole = postings._grown(postings.NO_BASE, flat[: offsets[size]], offsets[: size + 1])
        assert (grown.series, grown.ordinals.tolist()) == (whole.series, whole.ordinals.tolist())
        assert grown.starts.tolist() == whole.starts.tolist()
    for pair in range(len(whole.starts) - 1):
        having = [s for s in range(300) if pair in flat[offsets[s] : offsets[s + 1]]]
        assert whole.ordinals[whole.starts[pair] : whole.starts[pair + 1]].tolist() == having


@pytest.mark.parametrize("top", [1, 3, 10, 1000])
def test_cardinality_is_what_counting_one_by_one_gives(index: SeriesIndex, top: int) -> None:
    rng = np.random.default_rng(top)
    index.add(
        table([make_labels({"__name__": f"m{i % 9}", "été": "ü" * int(rng.integers(1, 5)), f"l{i % 3}": f"{i}"})
               for i in range(60)])
    )  # fmt: skip
    for mask in (np.ones(len(index), np.bool_), rng.random(len(index)) < 0.5, np.zeros(len(index), np.bool_)):
        labels = index.labels(np.flatnonzero(mask))
        pairs = Counter(pair for each in labels for pair in each)
        values, sizes = Counter(name for name, _ in pairs), Counter[str]()
        for name, value in pairs:
            sizes[name] += len(value.encode())
        found = cardinality.cardinality(index, mask, top)
        assert (found.series, found.pairs) == (len(labels), len(pairs))
        names = {value: n for (name, value), n in pairs.items() if name == "__name__"}
        by_pair = {f"{name}={value}": n for (name, value), n in pairs.items()}
        for seen, counts in (
            (found.series_by_metric, names), (found.values_by_label, values),
            (found.bytes_by_label, sizes), (found.series_by_pair, by_pair),
        ):  # fmt: skip
            assert seen == sorted(counts.items(), key=lambda c: (-c[1], c[0]))[:top]


def test_pairs_are_numbered_once(index: SeriesIndex) -> None:
    known = index.pairs
    index.add(table([make_labels({"job": "a", "pod": "1"}), make_labels({"job": "d", "pod": "1", "Zone": "x"})]))
    assert index.pairs == known + 2 and len(set(index.pair_texts)) == index.pairs
    numbers = [index.pair_names.number(name) for name, _ in index.pair_texts]
    assert index.pair_names.of(np.arange(index.pairs)).tolist() == numbers


@pytest.mark.parametrize("sparse", [0, 16])
def test_pairs_keep_their_numbers_whatever_they_come_among(sparse: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "SPARSE", sparse)
    known, numbers = pairs.Pairs(), dict[tuple[str, str], int]()
    rng = np.random.default_rng(3)
    for _ in range(20):
        given = [(f"n{a}", f"v{b}") for a, b in zip(rng.integers(0, 6, 40), rng.integers(0, 30, 40), strict=True)]
        found = known.encode(pa.array([name for name, _ in given]), pa.array([value for _, value in given]))
        for pair, number in zip(given, found.tolist(), strict=True):
            assert numbers.setdefault(pair, number) == number
    assert sorted(numbers.values()) == list(range(len(known))) and len(known) > 150
    assert [known.texts[number] for number in numbers.values()] == list(numbers)
    assert all(known.texts[number][0] == name for name in known.by_name for number in known.of_name(name))
    assert [known.names.texts[n] for n in known.names.of(np.arange(len(known)))] == [name for name, _ in known.texts]


@pytest.mark.parametrize("seed", range(3))
def test_matches_that_are_kept_are_those_of_the_series_there_are(
    index: SeriesIndex, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(index_module, "KEPT_MATCHES", 3)
    monkeypatch.setattr(index_module, "FEW_MATCHES", 20)
    asked = [
        [Matcher("job", op, value)] for op, value in ((MatchOp.EQ, "a"), (MatchOp.NE, "a"), (MatchOp.RE, "a|b|"))
    ] + [[], [Matcher("pod", MatchOp.EQ, "1"), Matcher("job", MatchOp.RE, ".+")]]
    for _ in range(30):
        for at in rng.integers(0, len(asked), 4).tolist():
            matchers = asked[at]
            mask = index.matching(matchers)
            every = map(dict, index.labels(np.arange(len(index))))
            assert mask.tolist() == [all(m.matches(each.get(m.name, "")) for m in matchers) for each in every]
            mask[:] = False  # whoever asked may do so
            assert len(index._matches) <= 3
        if rng.random() < 0.4:
            index.add(table([make_labels({"job": str(rng.choice(["a", "b", "c"])), "pod": f"{rng.integers(0, 9)}"})]))


def test_rows_selected_again_are_the_ones_kept_as_long_as_there_is_room(
    index: SeriesIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labelrows, "KEPT_LABELS", 12)
    known = labelrows.KnownRows(index)
    some = known.of(np.array([2, 0]))  # two series and five labels
    assert list(some) == [FLEET[2], FLEET[0]]
    assert known.of(np.array([2, 0])) is some
    assert list(known.of(np.array([0, 2]))) == [FLEET[0], FLEET[2]]
    assert list(known.of(np.arange(6))) == FLEET  # too many to be kept
    assert known.of(np.array([2, 0])) is not some
    assert known._labels <= 12


@pytest.mark.parametrize("seed", range(5))
def test_groups_by_columns_are_those_of_the_labels_themselves(index: SeriesIndex, seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = labelrows.LabelRows(index, rng.permutation(len(index)))
    signatures = [by(()), by(["job"]), by(["job", "instance"]), by(["none"]), excluding(()), excluding(["job"])]
    for signature in [*signatures, *signatures, *map(by, (["a"], ["b"], ["c"], ["Zone"]))]:
        known: dict[Labels, int] = {(("job", "b"),): 0}
        plain = dict(known)
        found = ordinals(rows, signature, known)
        assert found.tolist() == ordinals(list(rows), signature, plain).tolist()
        assert list(known) == list(plain)
        assert len(rows.groupings) <= limits.KEPT_GROUPINGS
