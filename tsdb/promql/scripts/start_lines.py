"""Start timestamps in scripts: a line `metric{…}@st -1m -2m-1mx3 _` above the samples' own, an offset for each.

An offset is from the sample's time; `_` leaves it unknown. Repeated and growing as values are: `-1mx3`, `-30s-30sx4`.
Source: https://github.com/prometheus/prometheus/blob/main/promql/promqltest/test.go
"""

from __future__ import annotations

import re

from obs.model.labels import Labels
from obs.tsdb.promql.lexer import duration_ms
from obs.tsdb.promql.scripts.notation import Unsupported, parse_labels

_MARK = "@st"
_ITEM = re.compile(
    r"(?:_(?:x(?P<gap>\d+))?|(?P<sign>[+-]?)(?P<first>\d+[a-wyz]*)"
    r"(?:(?P<grow>[+-])(?P<delta>\d+[a-wyz]*)(?=x))?(?:x(?P<count>\d+))?)"
)


def read(line: str) -> tuple[Labels, list[int | None]] | None:
    """The series and the offsets in milliseconds of such a line; None where it is none."""
    head, _, tail = line.strip().replace("\t", " ").partition(" ")
    if not head.endswith(_MARK):
        return None
    return parse_labels(head.removesuffix(_MARK)), [offset for item in tail.split() for offset in _offsets(item)]


def _offsets(item: str) -> list[int | None]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise Unsupported(f"cannot read start timestamp {item!r}")
    if match["first"] is None:
        return [None] * int(match["gap"] or 1)
    first = _ms(match["sign"], match["first"])
    delta = _ms(match["grow"], match["delta"]) if match["delta"] else 0
    return [first + i * delta for i in range(int(match["count"] or 0) + 1)]


def _ms(sign: str, text: str) -> int:
    ms = 0 if text == "0" else duration_ms(text)
    if ms is None:
        raise Unsupported(f"cannot read start timestamp {text!r}")
    return -ms if sign == "-" else ms
