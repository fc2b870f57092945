"""Keys of the attributes of events and links, for completion: out of a part of the spans, the newest places first.

They stand in JSON text, so that to know all of them would be to read all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obs.tracestore import limits
from obs.tracestore.sources import Source

COLUMNS = {"event": "events", "link": "links"}


def item_keys(sources: Sequence[Source], start_ns: int, end_ns: int) -> dict[str, list[str]]:
    """Keys by `event` and `link`, sorted, of places that touch the range."""
    touching = [s for s in sources if len(s.traces) and _touches(s, start_ns, end_ns)]
    touching.sort(key=lambda s: -int(s.traces.last_start.max()))
    return {
        scope: sorted({key for text in _texts(touching, column) for key in _keys(text)})
        for scope, column in COLUMNS.items()
    }


def _touches(source: Source, start_ns: int, end_ns: int) -> bool:
    return bool(source.traces.start.min() <= end_ns and source.traces.last_start.max() >= start_ns)


def _texts(sources: Sequence[Source], column: str) -> Iterator[str]:
    """The distinct objects of some groups of rows."""
    left = limits.GROUPS_FOR_KEYS
    for source in sources:
        groups = np.arange(min(len(source.group_starts) - 1, left))
        if column in source.columns and len(groups):
            left -= len(groups)
            items = source.load(column, groups).flatten()
            found: pa.Array = pc.unique(pc.struct_field(items, "attributes"))
            yield from (text for text in found.slice(0, limits.TEXTS_FOR_KEYS).to_pylist() if text)


def _keys(text: str) -> Iterator[str]:
    try:
        found = json.loads(text)
    except ValueError:
        return
    if isinstance(found, dict):
        yield from found
