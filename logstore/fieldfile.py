"""Reads `fields.parquet` of a block: what a parser finds in its bodies, without these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from obs.logstore.filenames import FIELDS_PARSER
from obs.logstore.linefields import PARSERS, LineFields

Mask = npt.NDArray[np.bool_]


class FieldFile:
    """One block's file, row group by row group as its records."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._metadata = pq.read_metadata(path)
        self.labels = frozenset(self._metadata.schema.names) - {FIELDS_PARSER}
        groups = [self._metadata.row_group(i) for i in range(self._metadata.num_row_groups)]
        self.rows = [group.num_rows for group in groups]
        at = self._metadata.schema.names.index(FIELDS_PARSER)
        whole = [_only(group.column(at).statistics) for group in groups]
        self.whole = {parser: np.array([only == parser for only in whole], np.bool_) for parser in PARSERS}
        """Of each row group whether all its rows hold what the parser finds."""

    def group(self, group: int, parser: str, labels: Sequence[str]) -> LineFields | None:
        """Labels of a row group's rows; None where one of them is no column."""
        if not self.labels.issuperset(labels):
            return None
        sure = bool(self.whole[parser][group])
        with pq.ParquetFile(self._path, metadata=self._metadata, memory_map=True) as file:
            names = [*labels, *(() if sure else (FIELDS_PARSER,))]
            table = file.read_row_group(group, columns=names, use_threads=False)
        found = {name: _whole(table.column(name)) for name in names}
        covered = np.ones(self.rows[group], np.bool_)
        if not sure:
            of = pc.equal(found.pop(FIELDS_PARSER).cast(pa.string()), parser).fill_null(False)
            covered = of.to_numpy(zero_copy_only=False)
            mine = pa.array(np.arange(len(covered)), mask=~covered)
            found = {name: values.take(mine) for name, values in found.items()}
        return LineFields(covered, {name: v for name, v in found.items() if v.null_count < len(v)})


def _only(statistics: pq.Statistics | None) -> str | None:
    """The one value that all rows have."""
    if statistics is None or not statistics.has_min_max or statistics.null_count or statistics.min != statistics.max:
        return None
    return str(statistics.min)


def _whole(column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    return array if isinstance(array, pa.Array) else pa.concat_arrays(array.chunks)
