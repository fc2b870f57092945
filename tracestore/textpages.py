"""Which spans of a block have a given text in a column, by the column's pages: no text is made of what is read.

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
from obs.columnar.pages import ColumnChunk, OtherKind, equal_texts, has_texts

KERNELS = "obs.tracestore.kernels"
Mask = npt.NDArray[np.bool_]


class TextPages:
    """The columns of texts of a file. Where their chunks lie is kept: a footer takes long to be asked."""

    def __init__(self, path: Path, footer: pq.FileMetaData) -> None:
        self._path = path
        self._footer = footer
        self._chunks: dict[int, tuple[ColumnChunk, ...] | None] = {}

    def equal(self, leaf: int, groups: Sequence[int], text: str) -> Mask | None:
        """Over the rows of these groups; None where Arrow has to read them. Raises: OSError."""
        chunks = self._places(leaf) if warm.ready(KERNELS) else None
        if chunks is None:
            return None
        wanted, file = text.encode("utf-8", "surrogatepass"), os.open(self._path, os.O_RDONLY)
        try:
            return np.concatenate([np.zeros(0, np.bool_), *(equal_texts(file, chunks[g], wanted) for g in groups)])
        except OtherKind:
            return None
        finally:
            os.close(file)

    def _places(self, leaf: int) -> tuple[ColumnChunk, ...] | None:
        if leaf not in self._chunks:
            every = range(self._footer.num_row_groups)
            here = all(has_texts(self._footer, g, leaf) for g in every)
            found = tuple(ColumnChunk.of(self._footer.row_group(g).column(leaf)) for g in every) if here else None
            self._chunks[leaf] = found
        return self._chunks[leaf]
