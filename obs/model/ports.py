"""The ports between rooms: what one may ask of another without importing it. At most four methods each.

`obs/app.py` fits the rooms' objects into them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.batch import Batch
from obs.model.labels import Labels, Matcher

Ask = Callable[[bytes], Iterator[bytes]]
"""A method of a query service over gRPC: a request's message in, messages of the answer out. Raises: ObsError."""


class UnknownSeries(Exception):
    """A metrics batch names series whose labels the store does not hold; send the labels along.

    The receiver clears its `SeriesCache`, decodes the body again and appends again. Nothing was stored.
    """


@dataclass(frozen=True, slots=True)
class Stored:
    """What a store took of a batch, and the items it left out for good: reason → count, reason → a sentence."""

    batch: Batch
    dropped: Mapping[str, int] = field(default_factory=dict)
    why: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Held:
    """Spans of a trace that stand before its store; the first `undecided` rows may yet be left out."""

    spans: Sequence[pa.RecordBatch] = ()
    undecided: int = 0


class Holder(Protocol):
    """Where spans wait before they come to the store."""

    def held(self, trace_id: bytes) -> Held:
        """What is there of a trace."""

    def undecided(self) -> int:
        """How many spans wait for a decision."""


class Consumer(Protocol):
    """Whoever takes a batch: a processor, the pipeline, a store."""

    def consume(self, batch: Batch) -> Stored | None:
        """Take the batch, or nothing of it; when this returns it is durable (written to the WAL).

        None: all was taken. Raises: Overloaded, StorageFull, UnknownSeries.
        """


@dataclass(frozen=True, slots=True)
class SeriesSet:
    """Selected series with their samples, concatenated: series i owns rows offsets[i]:offsets[i+1].

    Within a series times rise strictly (equal times: the last written is here). Series are sorted by labels.
    """

    labels: Sequence[Labels]
    offsets: npt.NDArray[np.int64]  # int64[len(labels) + 1]
    t_ms: npt.NDArray[np.int64]  # int64[offsets[-1]]
    values: npt.NDArray[np.float64]  # float64[offsets[-1]]
    stats: Mapping[str, int] = field(default_factory=dict)  # rows_read, blocks_read, blocks_skipped …
    hists: npt.NDArray[np.object_] | None = None  # per sample a native histogram or None; None: floats only


@dataclass(frozen=True, slots=True)
class Laid:
    """Series and their samples where they lie: series s is pieces first[s]:first[s + 1], each with rising times.

    Piece k is lengths[k] rows, its times and values at two addresses; of equal times the last written counts.
    """

    labels: Sequence[Labels]
    times: npt.NDArray[np.int64]  # addresses of int64
    values: npt.NDArray[np.int64]  # addresses of float64
    lengths: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]  # int64[len(labels) + 1]
    rows: int  # of all pieces
    holds: object  # whose memory it is


class Selection(Protocol):
    """Selected series in parts, each of whole series and small enough for a core's cache; close it."""

    @property
    def stats(self) -> Mapping[str, int]:
        """What was read so far, as in a `SeriesSet`."""

    def __len__(self) -> int:
        """How many parts; none where nothing was found."""

    def read(self, part: int) -> SeriesSet:
        """One part, its series in no order. Any thread."""

    def laid(self, part: int) -> Laid | None:
        """The same where the samples lie, among them series without any; None: they have to be read."""

    def close(self) -> None:
        """Let go of what it reads from; safe to call twice."""


class SampleSource(Protocol):
    """Where PromQL reads."""

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int) -> SeriesSet:
        """The series that satisfy every matcher, with samples where start_ms <= t <= end_ms (both inclusive).

        Series without a sample in the range are left out.
        """

    def selection(
        self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, most_series: int, last_only: bool = False
    ) -> Selection:
        """The same in parts of at most `most_series` series; `last_only`: the last sample of each is enough."""

    def starts(self, series: Sequence[Labels], start_ms: int, end_ms: int) -> Mapping[Labels, tuple[Any, Any]]:
        """What is said of when what the samples of some series in start..end count began, for those that say so.

        By labels: int64 times (rising) from which on a start holds, up to the next or the end of the UTC day, and
        beside them int64 start times (0: unknown), all in milliseconds. Some may lie earlier in the day of `start_ms`.
        """


@dataclass(frozen=True, slots=True)
class VectorSample:
    """One element of an instant vector."""

    labels: Labels
    t_ms: int
    value: float


class Evaluator(Protocol):
    """A query language as rules see it: PromQL and LogQL both fit."""

    def instant(self, query: str, t_ms: int) -> Sequence[VectorSample]:
        """The vector of `query` at `t_ms` (a scalar is one element with no labels). Raises: QueryError, QueryLimit."""


@dataclass(frozen=True, slots=True)
class StoreStats:
    """How a store is doing; the app exposes each as a gauge and `obs doctor` prints them."""

    items_head: int
    bytes_head: int
    blocks: int
    items_blocks: int
    bytes_disk: int
    min_ns: int | None
    max_ns: int | None
    recovering: float | None  # 0..1 while the WAL is read back, else None
    extra: Mapping[str, Any] = field(default_factory=dict)


class Store(Protocol):
    """What the app asks of each of the three stores, beside `consume`."""

    def open(self) -> None:
        """Take the folder, start recovery in the background; new data is taken as soon as this returns."""

    def flush(self) -> None:
        """Write the head out as blocks and wait for it."""

    def stats(self) -> StoreStats:
        """Figures as of now; cheap."""

    def close(self) -> None:
        """Flush the WAL and stop; safe to call twice and without `open`."""
