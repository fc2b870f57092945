"""A metrics block as it lies on disk, or a folder of blocks: samples.parquet beside series.parquet (tsdb/FORMAT.md).

Blocks come in the order in which they were written, so that of samples written twice the last one wins again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obs.errors import UserError
from obs.interchange.faults import Faults, Unreadable
from obs.interchange.limits import PIECE_SAMPLES
from obs.interchange.pieces import F64, HISTOGRAM, I64, LabelSets, Piece
from obs.interchange.sources import Source
from obs.model.labels import Labels

SAMPLES, SERIES, HISTOGRAMS, META = "samples.parquet", "series.parquet", "histograms.parquet", "meta.json"
DROPPED = "dropped"
ASIDE = {"tmp", "quarantine", "snapshots"}
"""Folders of a data folder whose blocks do not count."""

POWERS = 10.0 ** np.arange(10)


def folder_of(path: Path | None) -> Path | None:
    """The folder of blocks that a path names: itself, or that of a `samples.parquet` with its series beside it."""
    if path is None or path.is_dir():
        return path
    return path.parent if path.name == SAMPLES and (path.parent / SERIES).is_file() else None


def read(source: Source, folder: Path, sets: LabelSets, faults: Faults) -> Iterator[Piece]:
    """Pieces of the samples and native histograms of all blocks in a folder. Raises: UserError where there are none."""
    found = [path.parent for path in folder.rglob(SAMPLES) if _counts(path.relative_to(folder), path.parent)]
    if not found:
        raise UserError(f"cannot import folder {str(folder)!r}: {_why_none(folder)}")
    for block in sorted(found, key=_written):
        with source.readable():
            yield from _Block.of(block, sets, faults).pieces()
        source.read_share(1 / len(found))


def _why_none(folder: Path) -> str:
    """Why no block is in a folder, and what to do. Prometheus's have an index beside a folder of chunks."""
    if (folder / "chunks_head").is_dir() or any((path.parent / "chunks").is_dir() for path in folder.glob("**/index")):
        return f"its blocks are Prometheus's; write them as text: promtool tsdb dump {str(folder)!r} | obs import -"
    return "no block is in it; name a file, or a folder of blocks"


def _counts(within: Path, block: Path) -> bool:
    """Whether a block is none that was replaced, is damaged or not whole, or a copy. Source: columnar/FORMAT.md."""
    return not (block / DROPPED).exists() and not ASIDE & set(within.parts)


def _written(folder: Path) -> tuple[int, int]:
    """A block's place in the order of writing. Source: columnar/FORMAT.md, "Block"."""
    try:
        facts = orjson.loads((folder / META).read_bytes())["block"]
        return int(facts["high"]), int(facts["low"])
    except (OSError, ValueError, KeyError):
        return 0, 0


@dataclass(slots=True)
class _Block:
    """One block's series, and where its native histograms are."""

    folder: Path
    series: list[Labels]
    places: I64  # of an ordinal in `series`, -1: refused
    hist_ordinals: I64
    hist_times: I64
    hist_counts: F64
    hist_agrees: npt.NDArray[np.bool_]  # a sample has its time and its count: the others were written over

    @classmethod
    def of(cls, folder: Path, sets: LabelSets, faults: Faults) -> _Block:
        """A block's small parts. Raises: OSError, pa.ArrowException."""
        table = pq.read_table(folder / SERIES, columns=["ordinal", "series_id", "labels"])
        ordinals = table.column("ordinal").to_numpy().astype(np.int64)
        series: list[Labels] = []
        places = np.full(int(ordinals.max(initial=-1)) + 1, -1)
        for ordinal, pairs in zip(ordinals.tolist(), table.column("labels").to_pylist(), strict=True):
            try:
                labels = sets.make(pairs)
            except Unreadable as e:
                faults.add(str(folder / SERIES), ordinal + 1, e)
                continue
            places[ordinal] = len(series)
            series.append(labels)
        hists = cls._histograms(folder, table)
        return cls(folder, series, places, *hists, np.zeros(len(hists[0]), np.bool_))

    @staticmethod
    def _histograms(folder: Path, series: pa.Table) -> tuple[I64, I64, F64]:
        """Ordinals, times and counts of the native histograms, in the order of their file."""
        if not (folder / HISTOGRAMS).is_file():
            return np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)
        table = pq.read_table(folder / HISTOGRAMS, columns=["series_id", "t_ms", "count"])
        at = pc.index_in(table.column("series_id"), series.column("series_id").combine_chunks())
        ordinals = series.column("ordinal").take(at).to_numpy().astype(np.int64)
        return ordinals, table.column("t_ms").to_numpy(), table.column("count").to_numpy()

    def pieces(self) -> Iterator[Piece]:
        """Floats first, then native histograms, whose samples are only their counts."""
        for batch in pq.ParquetFile(self.folder / SAMPLES).iter_batches(PIECE_SAMPLES):
            ordinals = batch.column("ordinal").to_numpy().astype(np.int64)
            t_ms, values = batch.column("t_ms").to_numpy(), values_of(batch)
            floats = np.ones(len(ordinals), np.bool_)
            floats[self._natives_among(ordinals, t_ms, values)] = False
            yield self._piece(ordinals[floats], t_ms[floats], values[floats])
        if self.hist_agrees.any():
            yield from self._natives()

    def _natives_among(self, ordinals: I64, t_ms: I64, values: F64) -> list[int]:
        """The rows that are counts of histograms, which are marked; rows are in the order of ordinal and time."""
        found = []
        few = np.flatnonzero((self.hist_ordinals >= ordinals[0]) & (self.hist_ordinals <= ordinals[-1]))
        starts = np.searchsorted(ordinals, self.hist_ordinals[few])
        stops = np.searchsorted(ordinals, self.hist_ordinals[few], side="right")
        for hist, start, stop in zip(few.tolist(), starts.tolist(), stops.tolist(), strict=True):
            row = start + int(np.searchsorted(t_ms[start:stop], self.hist_times[hist]))
            is_there = row < stop and t_ms[row] == self.hist_times[hist]
            if is_there and values[row].tobytes() == self.hist_counts[hist].tobytes():
                self.hist_agrees[hist] = True
                found.append(row)
        return found

    def _piece(self, ordinals: I64, t_ms: I64, values: F64, hists: pa.StructArray | None = None) -> Piece:
        places = self.places[ordinals]
        used, which = np.unique(places, return_inverse=True)
        piece = Piece([self.series[i] if i >= 0 else () for i in used.tolist()], which, t_ms, values, hists)
        return piece if not len(used) or used[0] >= 0 else piece.where(places >= 0)

    def _natives(self) -> Iterator[Piece]:
        at = 0
        for batch in pq.ParquetFile(self.folder / HISTOGRAMS).iter_batches(PIECE_SAMPLES):
            rows = at + np.arange(batch.num_rows)
            at += batch.num_rows
            kept = self.hist_agrees[rows]
            some: Any = batch.filter(pa.array(kept))
            if some.num_rows:
                arrays = [some.column(f.name).cast(f.type) for f in HISTOGRAM]
                hists = pa.StructArray.from_arrays(arrays, fields=list(HISTOGRAM))
                mine = rows[kept]
                yield self._piece(self.hist_ordinals[mine], self.hist_times[mine], np.zeros(len(mine)), hists)


def values_of(batch: pa.RecordBatch) -> F64:
    """Values of samples. Source: tsdb/FORMAT.md, "samples.parquet"."""
    whole = batch.column("value_int").fill_null(0).to_numpy().astype(np.float64)
    doubles = batch.column("value_double")
    scaled = whole / POWERS[batch.column("scale").fill_null(0).to_numpy()]
    found: F64 = np.where(doubles.is_null(), scaled, doubles.fill_null(0.0).to_numpy())
    return found
