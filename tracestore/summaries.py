"""One row a trace: where its spans stand, when it ran, its root, errors and services. In blocks and for heads.

In: sorted `SpanColumns` with their DAG. Out: `TraceRows`, which is also what `traces.parquet` is read into.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.model.schema import DICT, TRACE_ID
from obs.tracestore import limits
from obs.tracestore.dag import Dag
from obs.tracestore.ids import Words, id_array, id_words, mixed, trace_words, words_id
from obs.tracestore.names import ERROR
from obs.tracestore.spancolumns import SpanColumns, Times, codes_of, flat

TRACES_SCHEMA = pa.schema(
    [
        pa.field("trace_id", TRACE_ID, nullable=False),
        pa.field("first_row", pa.int64(), nullable=False),  # in spans.parquet
        pa.field("rows", pa.int32(), nullable=False),
        pa.field("start_ns", pa.int64(), nullable=False),  # the least start of a span
        pa.field("spread_ns", pa.int64(), nullable=False),  # the greatest start minus that
        pa.field("duration_ns", pa.int64(), nullable=False),  # greatest end minus least start, at least 0
        pa.field("shorter_ns", pa.int64(), nullable=False),  # duration_ns minus the longest span's: mostly 0
        pa.field("root_service", DICT),
        pa.field("root_name", DICT),
        pa.field("rooted", pa.bool_(), nullable=False),  # the root has no parent, so it is no stand-in
        pa.field("missing", pa.int32(), nullable=False),  # spans whose parent is not here
        pa.field("errors", pa.int32(), nullable=False),
        pa.field("services", pa.list_(DICT), nullable=False),
    ]
)

_LAST_START = "last_start_ns"
"""What the first blocks have in place of `spread_ns`."""

Counts = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TraceRows:
    """Arrays of one entry a trace, sorted by trace id; codes are -1 where there is no text."""

    high: Words
    low: Words
    starts: Times  # int64[traces + 1]: trace i owns rows starts[i]:starts[i + 1] of the spans
    start: Times
    last_start: Times
    duration: Times
    longest: Times
    root_service: Counts
    root_name: Counts
    rooted: npt.NDArray[np.bool_]
    missing: Counts
    errors: Counts
    service_starts: Counts  # int32[traces + 1] into service_codes
    service_codes: npt.NDArray[np.signedinteger[Any]]
    names: list[str]
    services: list[str]

    def __len__(self) -> int:
        return len(self.high)

    @property
    def nbytes(self) -> int:
        """Memory held, cached parts too."""
        arrays = sum(v.nbytes for v in vars(self).values() if isinstance(v, np.ndarray))
        return arrays + self._names_bytes

    @cached_property
    def _names_bytes(self) -> int:
        return sum(map(len, self.names))

    @property
    def spans(self) -> Times:
        """Number of spans."""
        return np.diff(self.starts)

    @cached_property
    def earliest(self) -> int:
        """The least start of a span; there has to be one."""
        return int(self.start.min())

    @cached_property
    def latest(self) -> int:
        """The greatest start of a span; there has to be one."""
        return int(self.last_start.max())

    @cached_property
    def key_order(self) -> Times:
        """Positions of the traces by `ids.mixed` of their ids."""
        return np.argsort(mixed(self.high, self.low))

    @cached_property
    def keys(self) -> Words:
        """`ids.mixed` of each trace, sorted: to see quickly which traces two places share."""
        return mixed(self.high, self.low)[self.key_order]

    def find_many(self, high: Words, low: Words) -> Times:
        """For each id the position of its trace, or -1."""
        if not len(self):
            return np.full(len(high), -1)
        place = np.minimum(np.searchsorted(self.keys, mixed(high, low)), len(self) - 1)
        at = self.key_order[place]
        hit = (self.high[at] == high) & (self.low[at] == low)
        for i in np.flatnonzero(~hit & (self.keys[place] == mixed(high, low))).tolist():  # ids that mix alike
            at[i] = self.find(words_id(high[i], low[i]))
            hit[i] = at[i] >= 0
        return np.where(hit, at, -1)

    def find(self, trace_id: bytes) -> int:
        """The position of a trace, or -1."""
        high, low = id_words(trace_id)
        first = int(np.searchsorted(self.high, high, side="left"))
        last = int(np.searchsorted(self.high, high, side="right"))
        at = first + int(np.searchsorted(self.low[first:last], low))
        return at if at < last and self.low[at] == low else -1

    def trace_of(self, rows: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """For rows of the spans the position of their trace."""
        return np.searchsorted(self.starts, rows, side="right") - 1

    def with_service(self, service: str) -> npt.NDArray[np.bool_]:
        """Whether each trace has a span of this service."""
        kept = self._with_services.get(service)
        if kept is None:
            kept = np.packbits(self._find_service(service))
            if len(self._with_services) >= limits.SERVICES_KEPT:
                self._with_services.clear()
            self._with_services[service] = kept
        return np.unpackbits(kept, count=len(self)).view(bool)

    @cached_property
    def _with_services(self) -> dict[str, npt.NDArray[np.uint8]]:
        """What `with_service` answered, as bits."""
        return {}

    def _find_service(self, service: str) -> npt.NDArray[np.bool_]:
        if service not in self.services or not len(self):
            return np.zeros(len(self), bool)
        before = np.zeros(len(self.service_codes) + 1, np.int32)
        np.cumsum(self.service_codes == self.services.index(service), dtype=np.int32, out=before[1:])
        found = before[self.service_starts]
        return np.asarray(found[1:] > found[:-1])

    def among(self, keys: Words) -> npt.NDArray[np.bool_]:
        """Which traces are among those with these sorted keys. Not to be written to: kept for the keys asked last."""
        last = self._among_last
        if last is None or last[0] is not keys:
            last = keys, self._find_among(keys)
            last[1].flags.writeable = False
            vars(self)["_among_last"] = last
        return last[1]

    @cached_property
    def _among_last(self) -> tuple[Words, npt.NDArray[np.bool_]] | None:
        return None

    def _find_among(self, keys: Words) -> npt.NDArray[np.bool_]:
        if not len(keys) or not len(self):
            return np.zeros(len(self), bool)
        if len(keys) < len(self) // 8:
            return self._find_few(keys)
        own = mixed(self.high, self.low)
        at = np.minimum(np.searchsorted(keys, own), len(keys) - 1)
        return np.asarray(keys[at] == own)

    def _find_few(self, keys: Words) -> npt.NDArray[np.bool_]:
        """The same where the keys are much fewer than the traces."""
        first, end = (np.searchsorted(self.keys, keys, side=side) for side in ("left", "right"))
        found = np.zeros(len(self), bool)
        found[self.key_order[first[first < end]]] = True
        for i in np.flatnonzero(end - first > 1).tolist():  # ids that mix alike
            found[self.key_order[first[i] : end[i]]] = True
        return found

    def services_of(self, trace: int) -> list[str]:
        """Names of a trace's services, sorted."""
        codes = self.service_codes[self.service_starts[trace] : self.service_starts[trace + 1]]
        return sorted(self.services[c] for c in codes)


def _text(code: int, values: list[str]) -> str:
    return values[code] if code >= 0 else ""


def root_of(traces: TraceRows, trace: int) -> tuple[str, str]:
    """Service and name of a trace's root span, or of the span that stands in for it."""
    root = _text(int(traces.root_service[trace]), traces.services)
    return root, _text(int(traces.root_name[trace]), traces.names)


def summarize(c: SpanColumns, starts: Times, dag: Dag) -> TraceRows:
    """The traces of sorted spans."""
    if not len(c):
        return empty()
    first = starts[:-1]
    top = dag.parent < 0
    no_parent = c.parent == 0
    root, rooted = _roots(starts, top, no_parent)
    start, duration = c.start[first], c.duration
    whole = np.maximum(np.maximum.reduceat(c.end, first) - start, 0)
    service_starts, service_codes = _services(c, starts)
    return TraceRows(
        high=c.high[first], low=c.low[first], starts=starts,
        start=start, last_start=c.start[starts[1:] - 1], duration=whole,
        longest=np.maximum.reduceat(duration, first),
        root_service=c.service[root], root_name=c.name[root], rooted=rooted,
        missing=_count(top & ~no_parent, first), errors=_count(c.status == ERROR, first),
        service_starts=service_starts, service_codes=service_codes, names=c.names, services=c.services,
    )  # fmt: skip


def empty() -> TraceRows:
    """No traces."""
    words, times, counts = np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int32)
    one = np.zeros(1, np.int64)
    return TraceRows(
        words, words, one, times, times, times, times, counts, counts, np.zeros(0, bool), counts, counts,
        one.astype(np.int32), counts, [], [],
    )  # fmt: skip


def _count(mask: npt.NDArray[np.bool_], first: Times) -> Counts:
    return np.add.reduceat(mask, first, dtype=np.int32)


def _roots(
    starts: Times, top: npt.NDArray[np.bool_], no_parent: npt.NDArray[np.bool_]
) -> tuple[Times, npt.NDArray[np.bool_]]:
    """The row of each trace's root: the first without a parent, else the first whose parent is not here."""
    n = len(top)
    rows = np.arange(n)
    real = np.minimum.reduceat(np.where(top & no_parent, rows, n), starts[:-1])
    stand_in = np.minimum.reduceat(np.where(top, rows, n), starts[:-1])
    return np.where(real < n, real, stand_in), real < n


def _services(c: SpanColumns, starts: Times) -> tuple[Counts, Counts]:
    """The distinct services of each trace, as (starts, codes)."""
    traces = len(starts) - 1
    trace = np.repeat(np.arange(traces), np.diff(starts))
    width = len(c.services) + 1
    packed = trace * width + (c.service + 1)
    if traces * width <= 8 * len(c) + 1024:
        seen = np.zeros(traces * width, bool)
        seen[packed] = True
        distinct = np.flatnonzero(seen)
    else:
        distinct = np.unique(packed)
    distinct = distinct[distinct % width > 0]
    owner, codes = distinct // width, (distinct % width - 1).astype(np.int32)
    return np.searchsorted(owner, np.arange(traces + 1)).astype(np.int32), codes


def traces_table(t: TraceRows) -> pa.Table:
    """What `traces.parquet` holds."""
    services = pa.DictionaryArray.from_arrays(pa.array(t.service_codes), pa.array(t.services, pa.string()))
    columns = [
        id_array(t.high, t.low), t.starts[:-1], t.spans.astype(np.int32), t.start, t.last_start - t.start, t.duration,
        t.duration - t.longest, _text_column(t.root_service, t.services), _text_column(t.root_name, t.names),
        t.rooted, t.missing, t.errors, pa.ListArray.from_arrays(pa.array(t.service_starts), services),
    ]  # fmt: skip
    return pa.Table.from_arrays(
        [pa.array(c) if isinstance(c, np.ndarray) else c for c in columns], schema=TRACES_SCHEMA
    )


def _text_column(codes: Counts, values: list[str]) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(values, pa.string()))


def read_traces(table: pa.Table) -> TraceRows:
    """The way back."""
    if not table.num_rows:
        return empty()
    wanted = (*TRACES_SCHEMA.names[1:7], _LAST_START, "missing", "errors")
    numbers = {n: table.column(n).to_numpy() for n in wanted if n in table.column_names}
    high, low = trace_words(table.column("trace_id"))
    lists = flat(table.column("services"))
    codes, services = codes_of(lists.flatten(), 0)
    root_service, named = codes_of(table.column("root_service"), 0)
    root_name, names = codes_of(table.column("root_name"), 0)
    starts = np.append(numbers["first_row"], numbers["first_row"][-1] + numbers["rows"][-1])
    offsets = lists.offsets.to_numpy()
    return TraceRows(
        high, low, starts, numbers["start_ns"], _last_start(numbers), numbers["duration_ns"],
        numbers["duration_ns"] - numbers["shorter_ns"], _recoded(root_service, named, services), root_name,
        np.asarray(table.column("rooted")), numbers["missing"], numbers["errors"], offsets - offsets[0],
        _small(codes, services), names, services,
    )  # fmt: skip


def _last_start(numbers: dict[str, Times]) -> Times:
    old = numbers.get(_LAST_START)
    return numbers["start_ns"] + numbers["spread_ns"] if old is None else old


def _small(codes: Counts, values: list[str]) -> npt.NDArray[np.signedinteger[Any]]:
    """Codes in half the bytes, where they fit: there are several a trace."""
    return codes.astype(np.int16) if len(values) < 2**15 else codes


def _recoded(codes: Counts, values: list[str], into: list[str]) -> Counts:
    """Codes into `values` as codes into `into`, which holds all that are used."""
    place = {value: i for i, value in enumerate(into)}
    return np.array([*(place.get(v, -1) for v in values), -1], np.int32)[codes]
