"""The store as SQL: the views `metrics` (one row a sample) and `series` (one row a label set).

A sample that was written again before its blocks were merged is there twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from obs.columnar.view import View
from obs.model.schema import SAMPLES as SAMPLES_SCHEMA
from obs.model.schema import SERIES as SERIES_SCHEMA
from obs.sql.views import SqlView
from obs.tsdb.filenames import SAMPLES, SERIES

_VALUE = "coalesce(p.value_double, p.value_int / pow(10, p.scale))"
_COLUMNS = "make_timestamp(t_ms * 1000) AS time, metric, labels, value, t_ms, series_id"


def sql_views(view: View) -> Sequence[SqlView]:
    """Both views of a snapshot."""
    samples, series = _or_empty(view.head(SAMPLES), SAMPLES_SCHEMA), _or_empty(view.head(SERIES), SERIES_SCHEMA)
    arrow = {"_head_samples": samples, "_head_series": series}
    head_series = "SELECT DISTINCT series_id, labels, labels['__name__'] AS metric FROM _head_series"
    samples_of = ["SELECT s.metric, s.labels, p.value, p.t_ms, s.series_id "
                  f"FROM _head_samples p JOIN ({head_series}) s USING (series_id)"]  # fmt: skip
    series_of = [f"SELECT series_id, metric, labels FROM ({head_series})"]
    for block in view.blocks:
        rows, known = block.path(SAMPLES), block.path(SERIES)
        if known is not None:
            series_of.append(f"SELECT series_id, metric, labels FROM {_file(known)}")
        if known is not None and rows is not None:
            samples_of.append(
                f"SELECT s.metric, s.labels, {_VALUE} AS value, p.t_ms, s.series_id "
                f"FROM {_file(rows)} p JOIN {_file(known)} s USING (ordinal)"
            )
    return [
        SqlView("metrics", f"SELECT {_COLUMNS} FROM ({' UNION ALL '.join(samples_of)})", arrow),
        SqlView("series", f"SELECT DISTINCT series_id, metric, labels FROM ({' UNION ALL '.join(series_of)})"),
    ]


def _file(path: Path) -> str:
    return "read_parquet('" + str(path).replace("'", "''") + "')"


def _or_empty(table: pa.Table, schema: pa.Schema) -> pa.Table:
    return table if table.num_rows else schema.empty_table()
