"""Labels that a parser makes of lines, as columns: each distinct line is parsed once."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pyarrow as pa

from obs.logstore import limits
from obs.logstore.chunks import Rows

EXTRACTED = "_extracted"


def labels_of_rows(rows: Rows, parse: Callable[[str], Mapping[str, str]]) -> dict[str, pa.Array]:
    """Columns by label of what `parse` finds in each line; a name that the stream has gets `_extracted`, as in Loki."""
    distinct = rows.line().dictionary_encode()
    parsed = [parse(line) for line in distinct.dictionary.to_pylist()]
    names = list(dict.fromkeys(name for labels in parsed for name in labels))[: limits.PARSED_KEYS]
    taken = rows.chunk.streams.names
    codes = distinct.indices
    return {
        name + EXTRACTED if name in taken else name: pa.array([p.get(name) for p in parsed], pa.string()).take(codes)
        for name in names
    }
