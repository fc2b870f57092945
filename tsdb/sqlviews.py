"""The store as SQL: the views `metrics` (one row a sample) and `series` (one row a label set).

A sample that was written again before its blocks were merged is there twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.view import View
from obs.model.schema import SAMPLES as SAMPLES_SCHEMA
from obs.model.schema import SERIES as SERIES_SCHEMA
from obs.sql.views import SqlView
from obs.tsdb.blocks import BlockSeries
from obs.tsdb.catalog import BlockCatalog
from obs.tsdb.filenames import SAMPLES, SERIES
from obs.tsdb.hidden import series_gone
from obs.tsdb.index import SeriesIndex
from obs.tsdb.rows import whole
from obs.tsdb.tombstones import intervals

_VALUE = "coalesce(p.value_double, p.value_int / pow(10, p.scale))"
_COLUMNS = "make_timestamp(t_ms * 1000) AS time, metric, labels, value, t_ms, series_id"


def sql_views(view: View, catalog: BlockCatalog, index: SeriesIndex) -> Sequence[SqlView]:
    """Both views of a snapshot."""
    arrow = {"_head_samples": _or_empty(view.head(SAMPLES), SAMPLES_SCHEMA), "_head_series": _head_series(view, index)}
    head_series = "SELECT DISTINCT series_id, labels, labels['__name__'] AS metric FROM _head_series"
    samples_of = ["SELECT s.metric, s.labels, p.value, p.t_ms, s.series_id "
                  f"FROM _head_samples p JOIN ({head_series}) s USING (series_id)"]  # fmt: skip
    series_of = [f"SELECT series_id, metric, labels FROM ({head_series})"]
    for number, (block, found) in enumerate(zip(view.blocks, catalog.of(view.blocks), strict=True)):
        samples_left = series_left = ""
        if found.deleted is not None:
            name = f"_deleted_{number}"
            arrow |= {name: intervals(block.tombstones), f"{name}_series": _gone(block, found, index)}
            samples_left = (
                f" ANTI JOIN {name} d ON d.series_id = s.series_id AND p.t_ms BETWEEN d.start_ms AND d.end_ms"
            )
            series_left = f" ANTI JOIN {name}_series USING (series_id)"
        rows, known = block.path(SAMPLES), block.path(SERIES)
        if known is not None:
            series_of.append(f"SELECT series_id, metric, labels FROM {_file(known)}{series_left}")
        if known is not None and rows is not None:
            samples_of.append(
                f"SELECT s.metric, s.labels, {_VALUE} AS value, p.t_ms, s.series_id "
                f"FROM {_file(rows)} p JOIN {_file(known)} s USING (ordinal){samples_left}"
            )
    return [
        SqlView("metrics", f"SELECT {_COLUMNS} FROM ({' UNION ALL '.join(samples_of)})", arrow),
        SqlView("series", f"SELECT DISTINCT series_id, metric, labels FROM ({' UNION ALL '.join(series_of)})"),
    ]


def _gone(block: Block, series: BlockSeries, index: SeriesIndex) -> pa.Table:
    return pa.table({"series_id": series_gone(block, series, index)})


def _head_series(view: View, index: SeriesIndex) -> pa.Table:
    """The series of the head with their labels."""
    if not view.head_rows(SERIES):
        return SERIES_SCHEMA.empty_table()
    ordinals = np.unique(index.ordinals(whole(view.head(SERIES).column("series_id"))))
    return pa.Table.from_batches([index.to_arrow(ordinals[ordinals >= 0])])


def _file(path: Path) -> str:
    return "read_parquet('" + str(path).replace("'", "''") + "')"


def _or_empty(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table if table.num_rows else schema.empty_table()
