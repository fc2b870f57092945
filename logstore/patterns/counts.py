"""Templates of some rows with how often each comes, by stream and time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.logstore import limits
from obs.logstore.patterns.drain import templates
from obs.logstore.patterns.shapes import MAX_BYTES, Shapes, pieces

I64 = npt.NDArray[np.int64]

WIDTHS_NS = tuple(seconds * 10**9 for seconds in (10, 60, 600, 3600))
"""How long one count is, of rows that span up to 1,000 of them."""

SCHEMA = pa.schema(
    [
        pa.field("pattern", pa.dictionary(pa.int32(), pa.string()), nullable=False),
        pa.field("stream", pa.int32(), nullable=False),  # position among the block's streams
        pa.field("time_ns", pa.int64(), nullable=False),  # where the interval begins
        pa.field("lines", pa.int64(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Counts:
    """lines[i] of the lines from times_ns[i] on in stream streams[i] fit patterns[of[i]]."""

    patterns: list[str]
    of: npt.NDArray[np.int32]
    streams: npt.NDArray[np.int32]
    times_ns: I64
    lines: I64

    def to_table(self) -> pa.Table:
        """As it stands in a block."""
        dictionary = pa.array(self.patterns, pa.string())
        pattern = pa.DictionaryArray.from_arrays(pa.array(self.of, pa.int32()), dictionary)
        return pa.table([pattern, self.streams, self.times_ns, self.lines], schema=SCHEMA)

    @classmethod
    def of_table(cls, table: pa.Table) -> Counts:
        """The way back."""
        column = table.column("pattern").unify_dictionaries().combine_chunks()
        pattern = column.chunk(0) if isinstance(column, pa.ChunkedArray) and column.num_chunks else column
        if not table.num_rows:
            return NOTHING
        return cls(
            pattern.dictionary.to_pylist(), pattern.indices.to_numpy(),
            *(table.column(name).to_numpy() for name in ("stream", "time_ns", "lines")),
        )  # fmt: skip


NOTHING = Counts([], *(np.empty(0, t) for t in (np.int32, np.int32, np.int64, np.int64)))  # type: ignore[arg-type]


def count(lines: pa.Array, streams: npt.NDArray[np.integer], times_ns: I64) -> Counts:
    """The counts of rows: a line, the position of its stream and its time each. Needs the kernels."""
    miner = Miner()
    miner.add(lines)
    return miner.counts(streams, times_ns)


class Miner:
    """Counts of rows whose lines come some at a time. Needs the kernels."""

    def __init__(self) -> None:
        self._shapes = Shapes()
        self._codes: list[npt.NDArray[np.int32]] = []
        self._examples: list[str] = []  # a line of each shape, as far as it counts

    def add(self, lines: pa.Array) -> None:
        """The lines that come next."""
        if len(lines):
            found, new = self._shapes.add(lines)
            self._codes.append(found)
            texts = lines.take(pa.array(new)).fill_null("").to_pylist()
            self._examples += [text[: MAX_BYTES + 1] for text in texts]

    def counts(self, streams: npt.NDArray[np.integer], times_ns: I64) -> Counts:
        """The counts of all, given the position of each row's stream and its time."""
        shape = np.concatenate(self._codes) if self._codes else np.empty(0, np.int32)
        return _counts(shape, self._examples, streams, times_ns)


def _counts(
    shape: npt.NDArray[np.int32], examples: list[str], streams: npt.NDArray[np.integer], times_ns: I64
) -> Counts:
    if not examples:
        return NOTHING
    weights = np.bincount(shape + 1, minlength=len(examples) + 1)[1:]
    order = np.argsort(-weights, kind="stable")[: limits.PATTERN_SHAPES]
    numbers, patterns = templates(pieces(examples[i]) for i in order)
    template = np.full(len(examples) + 1, -1, np.int32)  # the last: of lines of no shape, whose code is -1
    template[order] = numbers
    of_row = template[shape]
    if (of_row < 0).any():
        known = np.flatnonzero(of_row >= 0)
        of_row, streams, times_ns = of_row[known], streams[known], times_ns[known]
    if not len(of_row):
        return NOTHING
    width = _width(times_ns)
    bucket = times_ns // width
    low, wide = int(bucket.min()), int(bucket.max() - bucket.min()) + 1
    most = int(streams.max()) + 1
    key = of_row.astype(np.int64)  # in place from here on: these are as long as a block
    key *= most
    key += streams
    key *= wide
    bucket -= low
    key += bucket
    keys, lines_of = _counted(key, len(patterns) * most * wide)
    return Counts(
        patterns, (keys // wide // most).astype(np.int32), (keys // wide % most).astype(np.int32),
        (keys % wide + low) * width, lines_of,
    )  # fmt: skip


def _width(times_ns: I64) -> int:
    span = int(times_ns.max()) - int(times_ns.min())
    return next((width for width in WIDTHS_NS if span <= 1000 * width), WIDTHS_NS[-1])


def _counted(keys: I64, size: int) -> tuple[I64, I64]:
    """Distinct keys and how often each comes; `size`: one more than the largest key can be."""
    if size <= 4 * len(keys) + limits.PATTERN_SHAPES:
        counts = np.bincount(keys)
        distinct = np.flatnonzero(counts)
        return distinct, counts[distinct]
    return np.unique(keys, return_counts=True)
