"""Two sets of spans compared: which values of attributes are over-represented among the slow, the failed, any others.

Every value of every attribute is one test; what is told is held to a false discovery rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.model.schema import parse_attribute_column
from obs.tracestore import limits
from obs.tracestore.analysis.chosen import Spans
from obs.tracestore.analysis.significance import over_represented, q_values
from obs.tracestore.evaluate import SpanRows
from obs.tracestore.names import KINDS
from obs.tracestore.spancolumns import codes_of

Mask = npt.NDArray[np.bool_]
InSet = Callable[[SpanRows, npt.NDArray[np.int64]], Mask]
"""Which of the selected rows are in the set that is asked about."""

Tally = dict[str, defaultdict[Any, list[int]]]  # attribute → value → [in the set, outside of it]


@dataclass(frozen=True, slots=True)
class Difference:
    """One value and how often it stands in the set and outside of it."""

    attribute: str
    value: Any
    inside: int
    outside: int
    inside_share: float
    outside_share: float
    p: float
    q: float


@dataclass(frozen=True, slots=True)
class Compared:
    """The differences held to a false discovery rate, least likely first, and what was looked at."""

    inside: int
    outside: int
    tests: int
    skipped: tuple[str, ...]  # attributes of which nearly every span has a value of its own
    differences: list[Difference]


def compare_sets(places: Iterable[Spans], in_set: InSet, rate: float) -> Compared:
    """Over all places."""
    tally: Tally = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    sizes = [0, 0]
    for spans in places:
        inside = in_set(spans.rows, spans.hits)
        sizes[0] += int(inside.sum())
        sizes[1] += int((~inside).sum())
        for name, codes, values in _attributes(spans):
            _count(tally[name], codes, values, inside)
    skipped = tuple(sorted(name for name, values in tally.items() if _is_id(values)))
    rows = [
        (name, value, both[0], both[1]) for name, values in tally.items() if name not in skipped
        for value, both in values.items() if sum(both) >= limits.LEAST_TESTED
    ]  # fmt: skip
    told = _ranked(rows, (sizes[0], sizes[1]), rate) if all(sizes) else []
    return Compared(sizes[0], sizes[1], len(rows), skipped, told)


def _ranked(rows: list[tuple[str, Any, int, int]], sizes: tuple[int, int], rate: float) -> list[Difference]:
    if not rows:
        return []
    inside, outside = np.array([r[2] for r in rows]), np.array([r[3] for r in rows])
    p = over_represented(inside, sizes[0], outside, sizes[1])
    q = q_values(p)
    shares = inside / sizes[0], outside / sizes[1]
    order = np.lexsort((shares[1] - shares[0], p))
    told = [i for i in order.tolist() if q[i] <= rate and shares[0][i] > shares[1][i]]
    return [
        Difference(name, value, a, b, float(shares[0][i]), float(shares[1][i]), float(p[i]), float(q[i]))
        for i in told[: limits.MAX_DIFFERENCES]
        for name, value, a, b in [rows[i]]
    ]


def _attributes(spans: Spans) -> Iterator[tuple[str, npt.NDArray[np.int32], list[Any]]]:
    """Each attribute over the selected rows as codes into its values; -1: no such value."""
    rows, hits = spans.rows, pa.array(spans.hits)
    name = rows.column("name")
    if name is not None:
        yield "name", *codes_of(name.take(hits), len(hits))
    yield "kind", np.minimum(rows.numbers("kind")[spans.hits], len(KINDS) - 1).astype(np.int32), list(KINDS)
    for column in sorted(rows.source.columns):
        attribute = parse_attribute_column(column)
        if attribute is None or attribute.type in ("float", "bytes", "json"):
            continue
        values = rows.column(column)
        if values is None or values.null_count == len(values):
            continue
        key = f"{attribute.scope}.{attribute.key}".replace("attr.", "span.", 1)
        if attribute.type == "str":
            yield key, *codes_of(values.take(hits), len(hits))
        else:
            coded = values.take(hits).dictionary_encode()
            yield key, pc.fill_null(coded.indices, -1).to_numpy().astype(np.int32), coded.dictionary.to_pylist()


def _count(into: defaultdict[Any, list[int]], codes: npt.NDArray[np.int32], values: list[Any], inside: Mask) -> None:
    size = len(values) + 1
    both = np.bincount(codes[inside] + 1, minlength=size), np.bincount(codes[~inside] + 1, minlength=size)
    for code in np.flatnonzero(both[0][1:] + both[1][1:]).tolist():
        counts = into[values[code]]
        counts[0] += int(both[0][code + 1])
        counts[1] += int(both[1][code + 1])


def _is_id(values: dict[Any, list[int]]) -> bool:
    """Whether values hardly repeat: request ids would take the power from all other tests."""
    total = sum(a + b for a, b in values.values())
    return len(values) > limits.FEW_VALUES and total < 2 * len(values)
