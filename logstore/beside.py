"""What stands beside the records of a block: cells, patterns, labels of bodies, filters, made of its row groups."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.columnar.layout import BlockWriter
from obs.logstore import indexing, limits
from obs.logstore.cells import SEVERITY, build_cells
from obs.logstore.fieldcolumns import choose, field_options, fields_of
from obs.logstore.filenames import CELL_NS, CELLS, FIELDS, PATTERNS, TOKENS
from obs.logstore.patterns.counts import Miner


class Beside:
    """Sees each row group on its way into the file; all but cells need kernels. `bodies`: of all rows, unordered."""

    def __init__(self, bodies: pa.ChunkedArray) -> None:
        ready = indexing.ready()
        self._labels = choose(bodies) if ready else None
        self._fields: list[pa.Table] = []
        self._index = indexing.IndexBuilder() if ready else None
        self._miner = Miner() if ready else None
        self._kept: list[pa.Table] = []
        self._lengths: list[npt.NDArray[np.int64]] = []

    def seeing(self, groups: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """The row groups, each once it was looked at."""
        for group in groups:
            self._see(group)
            yield group

    def _see(self, group: pa.Table) -> None:
        body = indexing.flat(group.column("body"))
        self._lengths.append(pc.binary_length(body).fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64))
        self._kept.append(group.select([name for name in ("time_ns", *SEVERITY) if name in group.column_names]))
        if self._index is not None and self._miner is not None:
            self._index.add(group)
            self._miner.add(body)
        if self._labels is not None:
            self._fields.append(fields_of(body, self._labels))

    def write(self, streams: npt.NDArray[np.int32], out: BlockWriter) -> Mapping[str, Any]:
        """Write the files; what is to be known of them. `streams`: the position of each row's stream."""
        table = pa.concat_tables(self._kept)
        cells = build_cells(table, np.concatenate(self._lengths), streams)
        if cells is not None:
            out.parquet(CELLS, cells[0])
        if self._index is not None and self._miner is not None:
            out.parquet(PATTERNS, self._miner.counts(streams, table.column("time_ns").to_numpy()).to_table())
            out.file(TOKENS, self._index.encode())
        if self._labels is not None:
            out.parquet_parts(FIELDS, self._fields, row_group_rows=limits.ROW_GROUP_ROWS, **field_options(self._labels))
        facts = {} if cells is None else {CELL_NS: cells[1]}
        return {"indexed": self._index is not None, **facts}
