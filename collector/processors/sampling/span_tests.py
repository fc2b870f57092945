"""What policies ask of single spans: their status, or an attribute of the span or its resource, by type.

In: a batch of spans. Out: bool[rows].
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from obs.collector.processors.derived.columns import as_floats, attribute, text_column
from obs.collector.processors.sampling.due import Mask
from obs.model.schema import attribute_column

SpanTest = Callable[[pa.RecordBatch], Mask]
STATUSES = {"UNSET": 0, "OK": 1, "ERROR": 2}


@dataclass(frozen=True, slots=True)
class Status:
    """One of these statuses."""

    codes: Sequence[int]

    def __call__(self, spans: pa.RecordBatch) -> Mask:
        """No status is `UNSET`."""
        status = spans.column("status_code").fill_null(0).to_numpy(zero_copy_only=False)
        return np.asarray(np.isin(status, self.codes), np.bool_)


@dataclass(frozen=True, slots=True)
class Text:
    """An attribute, of any type as text, that is one of the values or matches one."""

    key: str
    values: Sequence[str]
    regex: bool = False

    def __call__(self, spans: pa.RecordBatch) -> Mask:
        """The span's own stands before its resource's."""
        column = attribute(spans, self.key)
        if column is None:
            return np.zeros(spans.num_rows, np.bool_)
        if self.regex:
            return _mask(pc.match_substring_regex(column, "|".join(f"(?:{value})" for value in self.values)))
        return _mask(pc.is_in(column, pa.array(self.values, pa.string())))


@dataclass(frozen=True, slots=True)
class Number:
    """A number in a range, both ends included."""

    key: str
    at_least: float
    at_most: float

    def __call__(self, spans: pa.RecordBatch) -> Mask:
        """Of the span or its resource."""
        found = np.zeros(spans.num_rows, np.bool_)
        for column in map(as_floats, _columns(spans, self.key, "int", "float")):
            found |= _mask(pc.and_(pc.greater_equal(column, self.at_least), pc.less_equal(column, self.at_most)))
        return found


@dataclass(frozen=True, slots=True)
class Truth:
    """A truth value."""

    key: str
    value: bool

    def __call__(self, spans: pa.RecordBatch) -> Mask:
        """Of the span or its resource."""
        found = np.zeros(spans.num_rows, np.bool_)
        for column in _columns(spans, self.key, "bool"):
            found |= _mask(pc.equal(column, self.value))
        return found


def _columns(spans: pa.RecordBatch, key: str, *types: str) -> Iterator[pa.Array]:
    """An attribute's columns, of the span and of its resource."""
    for scope in ("attr", "resource"):
        for type_ in types:
            column = text_column(spans, attribute_column(scope, key, type_))
            if column is not None:
                yield column


def _mask(hits: Any) -> Mask:
    return np.asarray(hits.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)
