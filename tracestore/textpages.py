"""Which spans of a block have a given text in a column, by the column's pages: no text is made of what is read.

Rows that were found are remembered: a search's next page, and a dashboard, ask for the same tag again.
Left to Arrow's reader while the kernels are not compiled, and where the pages are not as our own writer makes them.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from obs import warm
from obs.columnar.foundrows import FoundRows
from obs.columnar.pages import ColumnChunk, OtherKind, equal_texts, has_texts

KERNELS = "obs.tracestore.kernels"
Mask = npt.NDArray[np.bool_]
Rows = npt.NDArray[np.int64]


class TextPages:
    """The columns of texts of a file. Where their chunks lie is kept: a footer takes long to be asked."""

    def __init__(self, path: Path, footer: pq.FileMetaData, found: FoundRows) -> None:
        self._path = path
        self._footer = footer
        self._found = found
        self._chunks: dict[int, tuple[ColumnChunk, ...] | None] = {}

    def equal(self, leaf: int, groups: Sequence[int], text: str) -> Mask | None:
        """Over the rows of these groups; None where Arrow has to read them. Raises: OSError."""
        chunks = self._places(leaf) if warm.ready(KERNELS) else None
        if chunks is None:
            return None
        mask, first = np.zeros(sum(chunks[g].rows for g in groups), np.bool_), 0
        file = os.open(self._path, os.O_RDONLY)
        try:
            for group in groups:
                mask[first + self._rows(file, leaf, group, chunks[group], text)] = True
                first += chunks[group].rows
        except OtherKind:
            return None
        finally:
            os.close(file)
        return mask

    def _rows(self, file: int, leaf: int, group: int, chunk: ColumnChunk, text: str) -> Rows:
        known = self._found.get(self._path, group, (leaf, text))
        if known is None:
            known = np.flatnonzero(equal_texts(file, chunk, text.encode("utf-8", "surrogatepass")))
            self._found.put(self._path, group, (leaf, text), known)
        return known

    def _places(self, leaf: int) -> tuple[ColumnChunk, ...] | None:
        if leaf not in self._chunks:
            every = range(self._footer.num_row_groups)
            here = all(has_texts(self._footer, g, leaf) for g in every)
            found = tuple(ColumnChunk.of(self._footer.row_group(g).column(leaf)) for g in every) if here else None
            self._chunks[leaf] = found
        return self._chunks[leaf]
