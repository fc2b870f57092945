"""`__error__` and `__error_details__`: what a stage could not do with a record, which goes on nevertheless.

Source: Loki, "Log queries", Pipeline errors.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from obs.errors import QueryError
from obs.logstore.chunks import Rows

ERROR, DETAILS, PRESERVE = "__error__", "__error_details__", "__preserve_error__"
SPECIAL = frozenset((ERROR, DETAILS, PRESERVE))
"""Labels that `keep` keeps whether it names them or not."""

JSON, LOGFMT, FILTER, TEMPLATE = "JSONParserErr", "LogfmtParserErr", "LabelFilterErr", "TemplateFormatErr"
SAMPLE = "SampleExtractionErr"


def error_of(kind: str, details: str) -> Mapping[str, str]:
    """The labels that tell a record's error."""
    return {ERROR: kind, DETAILS: details}


def failed(rows: Rows) -> npt.NDArray[np.bool_]:
    """Which rows carry an error: bool[rows]."""
    column = rows.derived.get(ERROR)
    if column is None or column.null_count == len(column):
        return np.zeros(len(rows), np.bool_)
    return np.array([bool(text) for text in column.to_pylist()], np.bool_)


def refuse_failed(rows: Rows) -> None:
    """A metric takes no record with an error, unless a stage set `__preserve_error__`. Raises: QueryError."""
    marks = failed(rows)
    kept = rows.derived.get(PRESERVE) if marks.any() else None
    if kept is not None:
        marks &= np.array([text != "true" for text in kept.to_pylist()], np.bool_)
    if not marks.any():
        return
    row = int(np.flatnonzero(marks)[0])
    kind, stream = rows.derived[ERROR][row].as_py(), rows.chunk.streams.streams[int(rows.stream_codes()[row])][1]
    labels = ", ".join(f'{name}="{value}"' for name, value in rows.shown.labels(stream))
    details = rows.derived.get(DETAILS)
    why = None if details is None else details[row].as_py()
    raise QueryError(
        f"pipeline error: '{kind}' for series: '{{{labels}}}'{f': {why}' if why else ''}; leave such records out by a "
        f'label filter behind the stage, | {ERROR}="" or | {ERROR}!="{kind}"'
    )
