"""Batches of `/api/v1/export` → files: OpenMetrics, promtool's dump, CSV, Parquet. One class a format, in `WRITERS`.

Values are written with as many digits as give the same bits again. What a format cannot carry is counted in `lacks`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import IO, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obs.interchange.limits import ROW_GROUP_ROWS
from obs.interchange.nans import CANONICAL_NAN_BITS, STALE_TEXT
from obs.interchange.pieces import F64, HISTOGRAM
from obs.interchange.sources import Format
from obs.model.labels import METRIC_NAME
from obs.model.quoting import quoted
from obs.model.stale import is_stale

LOST_NAN = "NaN that the format cannot tell from others (stale markers among them)"
LOST_HISTOGRAM = "native histograms left out: only Parquet carries them"

Pairs = Mapping[str, str]


class Writer(Protocol):
    """One file being written."""

    lacks: Counter[str]

    def write(self, batch: pa.RecordBatch) -> int:
        """Add the samples of a batch (labels as JSON, t_ms, value, histogram); returns how many were written."""

    def end(self) -> None:
        """Write what belongs behind the last sample."""


class _Lines:
    """Formats of one line a sample, where the series begins the line."""

    separator = " "
    head = tail = b""
    nan = "NaN"

    def __init__(self, file: IO[bytes]) -> None:
        self.lacks: Counter[str] = Counter()
        self._file = file
        file.write(self.head)

    def write(self, batch: pa.RecordBatch) -> int:
        """See `Writer`."""
        batch = self._floats(batch)
        labels = batch.column("labels")
        series = [self.series(json.loads(text)) for text in labels.dictionary.to_pylist()]
        heads = [series[i] for i in labels.indices.to_pylist()]
        values = self._values(batch.column("value").to_numpy())
        times = self.times(batch.column("t_ms").to_pylist())
        lines = [self.line(*parts) for parts in zip(heads, values, times, strict=True)]
        self._file.write("".join(lines).encode())
        return len(lines)

    def _floats(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        hists = batch.column("histogram")
        if hists.null_count == len(hists):
            return batch
        self.lacks[LOST_HISTOGRAM] += len(hists) - hists.null_count
        return batch.filter(hists.is_null())

    def _values(self, values: F64) -> list[str]:
        texts = [repr(value) for value in values.tolist()]
        for row in np.flatnonzero(~np.isfinite(values)).tolist():
            texts[row] = self.nan if np.isnan(values[row]) else "+Inf" if values[row] > 0 else "-Inf"
        self.odd_nans(values, texts)
        return texts

    def odd_nans(self, values: F64, texts: list[str]) -> None:
        """NaNs with bits of their own."""
        bits = values.view(np.uint64)
        self.lacks[LOST_NAN] += int((np.isnan(values) & ~np.isin(bits, np.array(CANONICAL_NAN_BITS, np.uint64))).sum())

    def series(self, labels: Pairs) -> str:
        """What begins the lines of a series."""
        raise NotImplementedError

    def line(self, series: str, value: str, time: str) -> str:
        """One sample."""
        return f"{series} {value} {time}\n"

    def times(self, t_ms: Sequence[int]) -> list[str]:
        """Times as text."""
        return [str(t) for t in t_ms]

    def end(self) -> None:
        """See `Writer`."""
        self._file.write(self.tail)


class Dump(_Lines):
    """As `promtool tsdb dump` writes."""

    def series(self, labels: Pairs) -> str:
        """`{__name__="up", job="x"}`."""
        pairs = ", ".join(f"{name if is_plain(name) else quoted(name)}={quoted(v)}" for name, v in labels.items())
        return f"{{{pairs}}}"


class OpenMetrics(_Lines):
    """OpenMetrics 1.0 without types; names past letters, digits and _ are quoted as Prometheus 3 has it."""

    tail = b"# EOF\n"

    def series(self, labels: Pairs) -> str:
        """`up{job="x"}`, or `{"odd.name",job="x"}`."""
        metric = labels.get(METRIC_NAME, "")
        others = [(name, value) for name, value in labels.items() if name != METRIC_NAME]
        pairs = [f"{name if is_plain(name) else _escaped(name)}={_escaped(value)}" for name, value in others]
        if metric and not is_plain(metric.replace(":", "_")):
            return f"{{{','.join([_escaped(metric), *pairs])}}}"
        return f"{metric}{{{','.join(pairs)}}}" if pairs or not metric else metric

    def times(self, t_ms: Sequence[int]) -> list[str]:
        """Seconds, with three digits behind the point where there are any."""
        return [
            str(t // 1000) if t % 1000 == 0 else f"{'-' * (t < 0)}{abs(t) // 1000}.{abs(t) % 1000:03d}" for t in t_ms
        ]


class Csv(_Lines):
    """Metric, time, value, and the other labels as a JSON object."""

    head = b"metric,time_ms,value,labels\n"

    def series(self, labels: Pairs) -> str:
        """Metric, and labels behind a tab, which stands in neither as it is."""
        return f"{_cell(labels.get(METRIC_NAME, ''))}\t{_cell(other_labels(labels))}"

    def line(self, series: str, value: str, time: str) -> str:
        """One sample."""
        metric, _, labels = series.rpartition("\t")
        return f"{metric},{time},{value},{labels}\n"

    def odd_nans(self, values: F64, texts: list[str]) -> None:
        """Stale markers have a word; others have not."""
        for row in np.flatnonzero(is_stale(values)).tolist():
            texts[row] = STALE_TEXT
        super().odd_nans(np.where(is_stale(values), 0.0, values), texts)


class Parquet:
    """Columns metric, labels (JSON), time, value and histogram; everything, to the bit."""

    schema = pa.schema(
        [
            pa.field("metric", pa.dictionary(pa.int32(), pa.string())),
            pa.field("labels", pa.dictionary(pa.int32(), pa.string())),
            pa.field("time", pa.timestamp("ms", "UTC"), nullable=False),
            pa.field("value", pa.float64()),
            pa.field("histogram", HISTOGRAM),
        ]
    )

    def __init__(self, file: IO[bytes]) -> None:
        self.lacks: Counter[str] = Counter()
        self._writer = pq.ParquetWriter(file, self.schema, compression="zstd")
        self._held: list[pa.RecordBatch] = []
        self._rows = 0

    def write(self, batch: pa.RecordBatch) -> int:
        """See `Writer`."""
        labels = batch.column("labels")
        sets = [json.loads(text) for text in labels.dictionary.to_pylist()]
        texts = ([pairs.get(METRIC_NAME, "") for pairs in sets], [other_labels(pairs) for pairs in sets])
        coded = [pa.DictionaryArray.from_arrays(labels.indices, pa.array(t, pa.string())) for t in texts]
        times = batch.column("t_ms").cast(pa.timestamp("ms", "UTC"))
        hists = batch.column("histogram")
        values = pc.if_else(hists.is_null(), batch.column("value"), None)
        arrays = [*coded, times, values, hists]
        self._held.append(pa.RecordBatch.from_arrays(arrays, schema=self.schema))
        self._rows += batch.num_rows
        if self._rows >= ROW_GROUP_ROWS:
            self._write_group()
        return int(batch.num_rows)

    def _write_group(self) -> None:
        """One row group, so that a dictionary is written once."""
        self._writer.write_table(pa.Table.from_batches(self._held, self.schema).unify_dictionaries())
        self._held, self._rows = [], 0

    def end(self) -> None:
        """See `Writer`."""
        if self._held:
            self._write_group()
        self._writer.close()


WRITERS: dict[Format, Callable[[IO[bytes]], Writer]] = {
    Format.OPENMETRICS: OpenMetrics, Format.DUMP: Dump, Format.CSV: Csv, Format.PARQUET: Parquet,
}  # fmt: skip


def other_labels(labels: Pairs) -> str:
    """All labels but the metric's name, as JSON."""
    return json.dumps({k: v for k, v in labels.items() if k != METRIC_NAME}, ensure_ascii=False, separators=(",", ":"))


def is_plain(name: str) -> bool:
    """Whether a name needs no quotes."""
    return name.isascii() and name.isidentifier()


def _escaped(text: str) -> str:
    """A quoted string. Source: OpenMetrics 1.0, "escaped-string"."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _cell(text: str) -> str:
    """A cell of CSV. Source: RFC 4180, 2."""
    doubled = text.replace('"', '""')
    return f'"{doubled}"' if doubled != text or any(c in text for c in ",\r\n\t") else text
