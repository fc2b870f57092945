"""Groups: a code for every row by its labels, and the labels of each code.

In: rows and the names that make a group. Out: int64[rows] codes from 0, and one Labels a code.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from obs.errors import QueryLimit
from obs.logstore.chunks import Rows, encoded
from obs.model.labels import Labels, make_labels

Codes = npt.NDArray[np.int64]
_DENSE = 1 << 16


def group_rows(rows: Rows, by: Sequence[str] | None, extra: Sequence[str] = ()) -> tuple[Codes, list[Labels]]:
    """Groups by the labels `by`; None: by stream, by every label that stages made, and by `extra`."""
    names = list(by) if by is not None else list(dict.fromkeys([*rows.derived, *extra]))
    made = frozenset() if by is not None else rows.beside.difference(extra)  # of these nothing that is stored
    columns = [c for c in (_label_codes(rows, name, name in made) for name in names) if c is not None]
    streams = rows.chunk.streams.streams
    radix = [len(values) + 1 for _, _, values in columns]
    combined = rows.stream_codes().copy() if by is None else np.zeros(len(rows), np.int64)
    size = len(streams) if by is None else 1
    for (_, codes, _), width in zip(columns, radix, strict=True):
        if size * width > 1 << 62:
            raise QueryLimit(f"cannot group by {len(names)} labels: they have too many values; name the ones you need")
        combined = combined * width + codes + 1
        size *= width
    distinct, codes = _compact(combined, size)
    owners = [rows.shown.labels(labels) for _, labels in streams] if by is None else None
    return codes, [_labels(int(d), columns, radix, owners, made) for d in distinct]


def _label_codes(rows: Rows, name: str, made: bool) -> tuple[str, Codes, list[str | None]] | None:
    array = rows.derived[name] if made else rows.label(name)
    if array is None:
        return None
    values, codes = encoded(array)
    return name, codes, list(values)


def _compact(combined: Codes, size: int) -> tuple[Codes, Codes]:
    """Distinct codes and each row's position among them; without sorting where codes are few."""
    if size > _DENSE:
        distinct, inverse = np.unique(combined, return_inverse=True)
        return distinct, inverse
    distinct = np.flatnonzero(np.bincount(combined, minlength=size))
    place = np.zeros(size, np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[combined]


def _labels(
    code: int,
    columns: Sequence[tuple[str, Codes, list[str | None]]],
    radix: Sequence[int],
    streams: Sequence[Labels] | None,
    made: frozenset[str],
) -> Labels:
    """The labels of a group; of those in `made` a null leaves the stream's own."""
    pairs: dict[str, str] = {}
    for (name, _, values), width in zip(reversed(columns), reversed(radix), strict=True):
        code, digit = divmod(code, width)
        if digit or name not in made:
            pairs[name] = (values[digit - 1] or "") if digit else ""
    own = dict(streams[code]) if streams is not None else {}
    return make_labels({**own, **pairs})
