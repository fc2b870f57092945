"""Pages of records: each comes once, in one order, however many share a time and whatever is flushed in between."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from log_recipes import NS, Record, logs_batch

from obs.errors import QueryError, QueryLimit
from obs.logstore import limits
from obs.logstore.logql import LogQL
from obs.logstore.store import LogStore

SERVICES = ("cart", "ad", "pay")


def batch(first: int, count: int) -> list[Record]:
    """Records of which nine in ten share one time."""
    return [
        Record(NS * (5 if i % 10 else i), f"line {i}", {"service.name": SERVICES[i % 3]})
        for i in range(first, first + count)
    ]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[LogStore]:
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch(batch(0, 60)))
    store.flush()
    store.consume(logs_batch(batch(60, 60)))
    store.flush()
    store.consume(logs_batch(batch(120, 60)))
    yield store
    store.close()


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("size", [1, 7, 54, 180, 500])
def test_pages_hold_each_record_once(store: LogStore, size: int, newest_first: bool) -> None:
    logql = LogQL(store)
    whole = logql.records("{}", 0, 200 * NS, 1000, newest_first)
    assert (len(whole.entries), whole.next, whole.partial) == (180, None, None)
    lines, after = [], ""
    for _ in range(200):
        page = logql.records("{}", 0, 200 * NS, size, newest_first, after)
        lines += [e.line for e in page.entries]
        assert (page.partial is None) == (page.next is None)
        if page.next is None:
            break
        assert len(page.entries) == size
        after = page.next
        if len(lines) > 60:
            store.flush()  # the head becomes a block in the midst of the walk
    assert lines == [e.line for e in whole.entries]


def test_both_directions_mirror_each_other(store: LogStore) -> None:
    logql = LogQL(store)
    forward, backward = (logql.records("{}", 0, 200 * NS, 500, newest).entries for newest in (False, True))
    assert [e.line for e in backward] == [e.line for e in reversed(forward)]


def test_a_limit_that_cuts_nothing_says_nothing(store: LogStore) -> None:
    found = LogQL(store).records('{} |= "line 17"', 0, 200 * NS, 11)
    assert (len(found.entries), found.partial) == (11, None)
    cut = LogQL(store).records('{} |= "line 17"', 0, 200 * NS, 10)
    assert str(cut.partial).startswith("limit of 10 lines: older ones match too, after=")


def test_cursors_that_are_none(store: LogStore, monkeypatch: pytest.MonkeyPatch) -> None:
    logql = LogQL(store)
    with pytest.raises(QueryError, match="cannot go on after 'x'"):
        logql.records("{}", 0, 200 * NS, 10, after="x")
    assert logql.records("{}", 0, 10, 10, after=f"{20 * NS}.1", newest_first=False).entries == []
    monkeypatch.setattr(limits, "TIED_ENTRIES", 100)
    page = logql.records("{}", 0, 200 * NS, 90, newest_first=False)
    assert len(page.entries) == 90
    page = logql.records("{}", 0, 200 * NS, 90, newest_first=False, after=str(page.next))
    assert (len(page.entries), page.next) == (90, None)
    with pytest.raises(QueryLimit, match="more than 100 records of the time 5000000000"):
        logql.records("{}", 0, 200 * NS, 10, newest_first=False, after=f"{5 * NS}.101")


@pytest.mark.parametrize("newest_first", [False, True])
def test_records_of_a_page_that_are_gone_hide_none_behind_it(store: LogStore, newest_first: bool) -> None:
    logql = LogQL(store)
    whole = [e.line for e in logql.records("{}", 0, 200 * NS, 500, newest_first).entries if e.time_ns != 5 * NS]
    page = logql.records("{}", 0, 200 * NS, 100, newest_first)
    assert str(page.next).startswith(f"{5 * NS}.")
    store.delete("{}", 5 * NS, 5 * NS + 1)
    rest = logql.records("{}", 0, 200 * NS, 500, newest_first, str(page.next))
    assert [e.line for e in rest.entries] == (whole[-len(rest.entries) :] if rest.entries else [])
    assert {e.line for e in page.entries if e.time_ns != 5 * NS}.isdisjoint(e.line for e in rest.entries)
    assert len(rest.entries) + sum(e.time_ns != 5 * NS for e in page.entries) == len(whole)
