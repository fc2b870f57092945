"""The lines around a line in its stream: those that came before it and after it, in the order of pages."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from obs.errors import NotFound, QueryError, QueryLimit
from obs.logstore import limits
from obs.logstore.logql import LogQL
from obs.logstore.logql.parse import parse
from obs.logstore.logql.records import LogEntry
from obs.logstore.logql.stage_syntax import LabelFormat, LineFormat, Pick
from obs.logstore.logql.syntax import LogQuery
from obs.logstore.selection import ALL_TIME
from obs.logstore.store import LogStore
from obs.model.labels import Labels, Matcher, MatchOp


@dataclass(frozen=True, slots=True)
class Context:
    """Lines of one stream, oldest first; `position` is where the line asked for is."""

    lines: list[LogEntry]
    position: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which line: the first that `query` lists at `time_ns` (and that reads `line`, where that is given)."""

    query: str
    time_ns: int
    line: str | None = None


def lines_around(store: LogStore, logql: LogQL, wanted: Wanted, before: int, after: int) -> Context:
    """Up to `before` lines, the line, and up to `after` lines. Raises: QueryError, QueryLimit, NotFound."""
    for name, count in (("before", before), ("after", after)):
        if not 0 <= count <= limits.MAX_CONTEXT:
            raise QueryError(f"cannot show {count} lines {name} a line: the limit is from 0 to {limits.MAX_CONTEXT}")
    at = wanted.time_ns
    found = _find(logql, wanted)
    stream = str(LogQuery(_only(found.stream, store.stream_labels(_equal(found.stream), *ALL_TIME)), ()))
    tied = _at(logql, stream, at, limits.MAX_ENTRIES)
    if len(tied) == limits.MAX_ENTRIES:
        raise QueryLimit(f"cannot show the lines around one of {len(tied)} or more of its stream at {at}: list them")
    place = _place(tied, found)
    newer = _page(logql, stream, (at, ALL_TIME[1]), after, f"{at}.{place + 1}", newest_first=False)
    older = _page(logql, stream, (ALL_TIME[0], at + 1), before, f"{at}.{len(tied) - place}", newest_first=True)
    return Context([*reversed(older), tied[place], *newer], len(older))


def _place(tied: list[LogEntry], found: LogEntry) -> int:
    """Where a line is among those of its time; a stage may have changed its text."""
    alike = [i for i, entry in enumerate(tied) if entry.metadata == found.metadata]
    return next((i for i in alike if tied[i].line == found.line), alike[0] if alike else 0)


def _page(
    logql: LogQL, stream: str, span: tuple[int, int], limit: int, cursor: str, newest_first: bool
) -> list[LogEntry]:
    return list(logql.records(stream, *span, limit, newest_first, cursor).entries) if limit else []


def _find(logql: LogQL, wanted: Wanted) -> LogEntry:
    """The line with the labels that are stored: stages that change them are left out."""
    syntax = parse(wanted.query)
    if not isinstance(syntax, LogQuery):
        raise QueryError(f"cannot find the line of {wanted.query!r}: it computes numbers; give a selector or words")
    found = _listed(logql, syntax, wanted, (Pick, LabelFormat, LineFormat))
    if found is None and wanted.line is not None:  # the text may be what the query made of the line
        found = _listed(logql, syntax, wanted, (Pick,))
    if found is None:
        raise NotFound(f"cannot find a line of {wanted.query!r} at {wanted.time_ns}: give its time in nanoseconds")
    return LogEntry(wanted.time_ns, found.line, found.stream, found.metadata, {})


def _listed(logql: LogQL, syntax: LogQuery, wanted: Wanted, without: tuple[type, ...]) -> LogEntry | None:
    """The line as a query lists it without some stages."""
    query = str(LogQuery(syntax.matchers, tuple(s for s in syntax.stages if not isinstance(s, without))))
    entries = _at(logql, query, wanted.time_ns, 1 if wanted.line is None else limits.MAX_ENTRIES)
    return next((e for e in entries if wanted.line is None or e.line == wanted.line), None)


def _at(logql: LogQL, query: str, time_ns: int, limit: int) -> list[LogEntry]:
    return list(logql.records(query, time_ns, time_ns + 1, limit, newest_first=False).entries)


def _equal(labels: Labels) -> tuple[Matcher, ...]:
    return tuple(Matcher(name, MatchOp.EQ, value) for name, value in labels)


def _only(stream: Labels, alike: Iterable[Labels]) -> tuple[Matcher, ...]:
    """Matchers of one stream, which leave out those that have its labels and more."""
    own = {name for name, _ in stream}
    others = sorted({name for labels in alike for name, _ in labels} - own)
    return (*_equal(stream), *(Matcher(name, MatchOp.EQ, "") for name in others))
