"""How metrics lie in the WAL and in a block: the metric store's part in the storage engine. See FORMAT.md.

`on_append` lets every WAL segment stand alone; `write_block` sorts, drops what was overwritten, scales and writes,
at flush and at compaction alike.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.head import concatenate
from obs.columnar.layout import BlockWriter, TableLayout
from obs.columnar.tombstones import Tombstone
from obs.model import schema as schemas
from obs.model.ports import UnknownSeries
from obs.tsdb import beside, exemplars, starts, writing
from obs.tsdb.blocks import Written
from obs.tsdb.filenames import EXEMPLARS, HISTOGRAMS, LABELS, METADATA, SAMPLES, SERIES, STARTS, STORE
from obs.tsdb.index import SeriesIndex
from obs.tsdb.limits import MANY_LEARNED
from obs.tsdb.merging import MergedSamples
from obs.tsdb.metadata import MetadataRegistry
from obs.tsdb.rows import SampleRows, block_rows, head_rows, whole
from obs.tsdb.tombstones import Deleted, erase

log = logging.getLogger(__name__)

NS_PER_MS = 1_000_000
Tables = Mapping[str, pa.RecordBatch]


class MetricLayout:
    """See the module. Its arguments are the store's own; `pause` is called while much is read back or written.

    `all_known`: whether the labels of all blocks have been read.
    """

    name = STORE
    piecewise = True
    piece_by_piece = (SAMPLES, SERIES, LABELS)
    tables: tuple[TableLayout, ...] = (
        TableLayout(SAMPLES, "t_ms", NS_PER_MS),
        TableLayout(SERIES, None),
        TableLayout(HISTOGRAMS, "t_ms", NS_PER_MS),
        TableLayout(EXEMPLARS, "t_ms", NS_PER_MS),
        TableLayout(METADATA, None),
        TableLayout(STARTS, "t_ms", NS_PER_MS),
    )

    def __init__(
        self, index: SeriesIndex, metadata: MetadataRegistry, written: Written, pause: Callable[[], None],
        all_known: Callable[[], bool],
    ) -> None:  # fmt: skip
        self._index = index
        self._pause, self._all_known = pause, all_known
        self._written = written
        self._metadata = metadata
        self._announced = np.full(1024, -1, np.int64)  # per ordinal the last generation that has its labels
        self._generation = -1  # the last one that has the metadata

    def on_append(self, generation: int, tables: Tables) -> Tables:
        """Add the labels of series that this generation does not hold yet, and once the metadata.

        Raises: UnknownSeries.
        """
        ordinals = [self._known(tables[name]) for name in (SAMPLES, EXEMPLARS) if name in tables]
        extra = {}
        new = self._new_in(generation, ordinals)
        if len(new):
            extra[SERIES] = self._index.to_arrow(new)
        if generation != self._generation:
            self._generation = generation
            known = self._metadata.to_arrow()
            if known.num_rows:
                extra[METADATA] = _below(known, tables.get(METADATA))
        return {**tables, **extra}

    def _known(self, table: pa.RecordBatch) -> npt.NDArray[np.int32]:
        ids = table.column("series_id").to_numpy()
        ordinals = self._index.ordinals(ids)
        if len(ordinals) and ordinals.min() < 0:
            missing = int((ordinals < 0).sum())
            raise UnknownSeries(
                f"{missing} rows of series whose labels are not known, the first {ids[ordinals < 0][0]:016x}"
            )
        return ordinals

    def _new_in(self, generation: int, parts: list[npt.NDArray[np.int32]]) -> npt.NDArray[Any]:
        """Ordinals not yet announced in this generation, each once; they count as announced from now on."""
        if len(self._index) > len(self._announced):
            bigger = np.full(2 * len(self._index), -1, np.int64)
            bigger[: len(self._announced)] = self._announced
            self._announced = bigger
        fresh = [part[unlike] for part in parts if (unlike := self._announced[part] != generation).any()]
        new = np.unique(np.concatenate(fresh)) if fresh else np.empty(0, np.int32)
        self._announced[new] = generation
        return new

    def on_replay(self, tables: Tables) -> None:
        """Learn the labels and metadata that recovery brings back."""
        if SERIES in tables:
            learned = self._index.learn(pa.Table.from_batches([tables[SERIES]]))
            if learned >= MANY_LEARNED:
                self._pause()
        if METADATA in tables:
            self._metadata.add(tables[METADATA])

    def held(self, name: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Of series a head keeps the ids: the index has their labels, and the WAL."""
        return batch.select(["series_id"]) if name == SERIES else batch

    def write_block(self, tables: Mapping[str, pa.Table], out: BlockWriter) -> Mapping[str, Any]:
        """Sort, drop what was overwritten, write the files."""
        self._index.learn(tables[SERIES])
        rows = self._rows(tables)
        exemplar_ordinals = exemplars.ordinals(tables[EXEMPLARS], self._index)
        is_used = np.zeros(len(self._index), np.bool_)
        is_used[rows.ordinals] = is_used[exemplar_ordinals[exemplar_ordinals >= 0]] = True
        series = self._index.sorted_by_name(np.flatnonzero(is_used))
        rank = np.zeros(len(self._index), np.int32)
        rank[series] = np.arange(len(series), dtype=np.int32)
        parts = writing.sorted_parts(rows, rank[rows.ordinals], len(series))
        return self._write(parts, len(rows.t_ms), series, rank, tables, out)

    def merging(self, blocks: Sequence[Block]) -> Callable[[BlockWriter], Mapping[str, Any]] | None:
        """See `obs.columnar.layout.Merging`: where series stand in the same order in all of them."""
        merged = MergedSamples(blocks, self._index)
        return partial(self._merge, blocks, merged) if merged.are_in_order else None

    def may_merge(self) -> bool:
        """See `obs.columnar.layout.Merging`: a merge that has to learn a million labels would hold up who asks."""
        return self._all_known()

    def _merge(self, blocks: Sequence[Block], merged: MergedSamples, out: BlockWriter) -> Mapping[str, Any]:
        tables = {n: concatenate([b.read(n) for b in blocks]) for n in (HISTOGRAMS, EXEMPLARS, METADATA, STARTS)}
        return self._write(merged.parts(), merged.rows, merged.series, merged.rank, tables, out)

    def _write(
        self, parts: Iterable[writing.Part], rows: int, series: npt.NDArray[Any], rank: npt.NDArray[np.int32],
        tables: Mapping[str, pa.Table], out: BlockWriter,
    ) -> Mapping[str, Any]:  # fmt: skip
        """Samples part by part, of so many rows; what stands beside them; `series` are those of each rank."""
        found, facts = writing.write_samples(self._in_turn(parts), rows, series, self._index, out)
        self._written.keep(out.name, found)
        if tables[HISTOGRAMS].num_rows:
            out.parquet(HISTOGRAMS, beside.in_order(tables[HISTOGRAMS], schemas.HISTOGRAMS, self._index, rank))
        if tables[STARTS].num_rows:
            out.parquet(STARTS, starts.in_order(tables[STARTS], self._index, rank))
        if tables[EXEMPLARS].num_rows:
            ordinals = exemplars.ordinals(tables[EXEMPLARS], self._index)
            out.parquet(EXEMPLARS, exemplars.in_order(tables[EXEMPLARS], np.where(ordinals >= 0, rank[ordinals], -1)))
        if tables[METADATA].num_rows:
            out.parquet(METADATA, _latest(tables[METADATA]))
        return facts

    def _in_turn(self, parts: Iterable[writing.Part]) -> Iterator[writing.Part]:
        """The parts, each after questions that are under way had their turn."""
        for part in parts:
            self._pause()
            yield part

    def _rows(self, tables: Mapping[str, pa.Table]) -> SampleRows:
        samples = tables[SAMPLES]
        if "ordinal" in samples.column_names:
            return block_rows(samples, tables[SERIES], self._index)
        rows, orphans = head_rows(samples, self._index)
        if orphans:
            log.error("%d samples of series whose labels were lost are left out", orphans)
        return rows

    def erase(self, tables: Mapping[str, pa.Table], tombstones: Sequence[Tombstone]) -> Mapping[str, pa.Table]:
        """See `obs.tsdb.tombstones`."""
        return erase(tables, tombstones)

    def touches(self, block: Block, tombstone: Tombstone) -> bool:
        """Whether the block has any of the series."""
        ids = block.read(SERIES, columns=["series_id"])
        return bool(ids.num_rows and Deleted.of([tombstone]).has(whole(ids.column("series_id"))).any())


def _below(known: pa.RecordBatch, more: pa.RecordBatch | None) -> pa.RecordBatch:
    return known if more is None else pa.concat_batches([known, more.cast(schemas.METADATA)])


def _latest(table: pa.Table) -> pa.Table:
    """Each description once, in the order in which they were last seen."""
    registry = MetadataRegistry()
    registry.add(table)
    return pa.Table.from_batches([registry.to_arrow()])
