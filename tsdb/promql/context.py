"""What the evaluation of one query shares: source, limits, annotations; and one frame per grid of steps."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from obs.errors import QueryError, QueryLimit
from obs.model.labels import Matcher
from obs.model.ports import Laid, SampleSource, Selection, SeriesSet
from obs.tsdb.promql import limits
from obs.tsdb.promql.annotations import Annotations
from obs.tsdb.promql.histogram_hints import Before, hinted
from obs.tsdb.promql.plan import At, AtEdge, Node
from obs.tsdb.promql.values import Scalar, Steps, Text, Value, Vector, Windows


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How queries run; each has a default with a reason in `limits`."""

    lookback_ms: int = limits.LOOKBACK_MS
    timeout_s: float = limits.TIMEOUT_S
    max_samples: int = limits.MAX_SAMPLES
    max_points: int = limits.MAX_POINTS
    subquery_step_ms: int = limits.SUBQUERY_STEP_MS
    slice_cells: int = limits.SLICE_CELLS
    typed: bool = False  # whether series say their type in `__type__`
    use_starts: bool = False  # whether rates and resets heed start timestamps, as `--promql.use-start-timestamps`


class ExecutionError(QueryError):
    """The query reads well but fails on the data at hand, as vectors that do not match one to one."""

    http_status = 422


class QueryTimeout(QueryLimit):
    """The query ran longer than its timeout."""

    http_status = 503


@dataclass(slots=True)
class Query:
    """The state of one running query."""

    source: SampleSource
    options: QueryOptions
    annotations: Annotations
    steps: Steps  # the query's own, which start() and end() mean
    deadline: float
    stats: dict[str, int] = field(default_factory=dict)
    samples: int = 0
    starts: SampleSource | None = None  # where start timestamps are read, if they are to be heeded
    needless: frozenset[int] = frozenset()  # positions of selectors whose histograms need no buckets
    _counting: threading.Lock = field(default_factory=threading.Lock)

    def check_time(self) -> None:
        """Raises: QueryTimeout."""
        if time.monotonic() > self.deadline:
            raise QueryTimeout("query timed out in expression evaluation")

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, pos: int = -1) -> SeriesSet:
        """Series from the source for the selector at `pos`, counted. Raises: QueryLimit."""
        self.check_time()
        found = self.source.select(matchers, start_ms, end_ms)
        found = hinted(found, self._before(matchers, start_ms), pos in self.needless)
        self.charge(len(found.values))
        self._count(found.stats)
        self._count({"series": len(found.labels), "samples": len(found.values)})
        return found

    @contextmanager
    def selection(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, most_series: int, pos: int, last_only: bool
    ) -> Iterator[Sequence[Part]]:
        """The parts of a selection, to be read by any thread."""
        self.check_time()
        selection = self.source.selection(matchers, start_ms, end_ms, most_series, last_only)
        try:
            before = self._before(matchers, start_ms)
            yield [Part(self, selection, part, before, pos) for part in range(len(selection))]
        finally:
            selection.close()
            self._count(selection.stats)

    def _before(self, matchers: Sequence[Matcher], start_ms: int) -> Before:
        return Before(lambda: self.source.select(matchers, start_ms - self.options.lookback_ms, start_ms - 1))

    def count(self, series: int, samples: int) -> None:
        """Say that a part was read. Any thread."""
        with self._counting:
            self._count({"series": series, "samples": samples})

    def charge(self, samples: int) -> None:
        """Count samples that this query holds. Raises: QueryLimit."""
        self.samples += samples
        if self.samples > self.options.max_samples:
            raise QueryLimit("query processing would load too many samples into memory in query execution")

    def make_room(self, steps: int, series: int = 1) -> None:
        """Before a vector is worked out: whether so many cells can be held, present or not. Raises: QueryLimit."""
        if series * steps > limits.CELLS_A_SAMPLE * self.options.max_samples:
            raise QueryLimit("query processing would load too many samples into memory in query execution")

    def _count(self, figures: Mapping[str, int]) -> None:
        for name, n in figures.items():
            self.stats[name] = self.stats.get(name, 0) + n


@dataclass(frozen=True, slots=True)
class Part:
    """Some series of a selection, for one thread."""

    query: Query
    selection: Selection
    number: int
    before: Before
    pos: int

    def read(self) -> SeriesSet:
        """The series with their samples, counted."""
        self.query.check_time()
        found = hinted(self.selection.read(self.number), self.before, self.pos in self.query.needless)
        self.query.count(len(found.labels), len(found.values))
        return found

    def laid(self) -> Laid | None:
        """The same where samples lie, if they can be read there; who reads them counts."""
        self.query.check_time()
        return self.selection.laid(self.number)


@dataclass(frozen=True, slots=True)
class Frame:
    """One grid of steps of a query: the query's own, or a subquery's."""

    query: Query
    steps: Steps
    run: Callable[[Frame, Node], Value]

    def on(self, steps: Steps) -> Frame:
        """A frame on another grid."""
        return replace(self, steps=steps)

    def value(self, node: Node) -> Value:
        """Evaluate."""
        self.query.check_time()
        return self.run(self, node)

    def vector(self, node: Node) -> Vector:
        """Evaluate an instant vector."""
        value = self.value(node)
        assert isinstance(value, Vector)
        return value

    def scalar(self, node: Node) -> Scalar:
        """Evaluate a scalar."""
        value = self.value(node)
        assert isinstance(value, Scalar)
        return value

    def windows(self, node: Node) -> Windows:
        """Evaluate a range vector."""
        value = self.value(node)
        assert isinstance(value, Windows)
        return value

    def text(self, node: Node) -> str:
        """Evaluate a string."""
        value = self.value(node)
        assert isinstance(value, Text)
        return value.value

    def fixed(self, at: At) -> int | None:
        """The time that an `@` modifier names."""
        if isinstance(at, AtEdge):
            return self.query.steps.start_ms if at is AtEdge.START else self.query.steps.end_ms
        return at
