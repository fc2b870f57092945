"""Text 0.0.4 and OpenMetrics 1.0: a page → rows and families. No label is read here; `series_labels` does that.

Source: https://prometheus.io/docs/instrumenting/exposition_formats/ and https://prometheus.io/docs/specs/om/open_metrics_spec/
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from obs.errors import UserError
from obs.model.labels import METRIC_NAME, Labels, make_labels

_LABEL = re.compile(
    r'\s*(?:"((?:[^"\\]|\\.)*)"|([a-zA-Z_][\w:.]*))\s*(=)?\s*(?:"((?:[^"\\]|\\.)*)")?\s*', re.DOTALL | re.ASCII
)
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES = {"n": "\n", '"': '"', "\\": "\\"}
_EXEMPLAR = " # {"

CREATED = "_created"
"""What OpenMetrics adds to the name of a family for the sample that says when the metric began."""


class ExpositionError(UserError):
    """A page that cannot be read; `page` is what stands before the fault, where that is known."""

    def __init__(self, said: str, page: Page | None = None) -> None:
        super().__init__(said)
        self.page = page


class Exemplar(NamedTuple):
    """An example of what a value counts."""

    labels: Labels
    value: float
    t_ms: int | None


class Native(NamedTuple):
    """A native histogram: the columns of `HISTOGRAMS` after the time, and its exemplars."""

    columns: tuple[object, ...]
    exemplars: tuple[Exemplar, ...]


class Row(NamedTuple):
    """A sample; `series` is its name and labels as they stand on the line. A native histogram's value is its count.

    `start_ms`: when what it counts began, where the row itself says so (in protobuf; 0: it does not).
    """

    series: str
    value: float
    t_ms: int | None
    exemplar: Exemplar | None
    native: Native | None = None
    start_ms: int = 0


@dataclass(slots=True)
class Family:
    """What a page says of a metric family."""

    kind: str = "unknown"
    unit: str = ""
    help: str = ""


@dataclass(slots=True)
class Page:
    """All of a page."""

    rows: list[Row] = field(default_factory=list)
    families: dict[str, Family] = field(default_factory=dict)
    kinds: list[tuple[int, str]] = field(default_factory=list)  # from which row on, what the last TYPE line said
    has_starts: bool = False  # whether rows have a `start_ms`
    has_created: bool = False  # whether rows may say when those beside them began, by a name on `_created`

    def kind(self, row: int) -> str:
        """What the TYPE line above a row says; empty where there is none."""
        at = bisect_right(self.kinds, row, key=lambda kind: kind[0])
        return self.kinds[at - 1][1] if at else ""


def parse(text: str, openmetrics: bool = False) -> Page:
    """Read a page. Raises: ExpositionError with line and column."""
    page = Page(has_created=openmetrics and CREATED in text)
    for number, line in enumerate(text.split("\n"), 1):
        if not line or line.isspace():
            continue
        try:
            if line[0] == "#":
                if line == "# EOF" and openmetrics:
                    return page
                _comment(page, line)
            else:
                page.rows.append(_row(line, openmetrics))
        except ValueError as e:
            raise ExpositionError(f"cannot read line {number} {line[:100]!r}: {e}", page) from None
    if openmetrics:
        cause = "it does not end with '# EOF', so a part of it may be missing"
        raise ExpositionError(f"cannot read the page: {cause}", page)
    return page


def _comment(page: Page, line: str) -> None:
    parts = line.split(None, 3)
    if len(parts) < 3 or parts[0] != "#" or parts[1] not in ("TYPE", "HELP", "UNIT"):
        return
    name = parts[2]
    if name.startswith('"'):
        quoted = _QUOTED.search(line)
        if quoted is None:
            raise ValueError("a quote is not closed")
        name, parts = _unescaped(quoted[0][1:-1]), [*parts[:3], line[quoted.end() :].strip()]
    family = page.families.setdefault(name, Family())
    said = parts[3].strip() if len(parts) > 3 else ""
    if parts[1] == "TYPE":
        family.kind = "unknown" if said == "untyped" else said
        page.kinds.append((len(page.rows), family.kind))
    elif parts[1] == "UNIT":
        family.unit = said
    else:
        family.help = _unescaped(said)


def _row(line: str, openmetrics: bool) -> Row:
    exemplar = None
    if openmetrics and _EXEMPLAR in line:
        line, exemplar = _without_exemplar(line)
    end = line.rfind("}") + 1
    if not end:
        end = len(line) - len(line.lstrip())
        while end < len(line) and not line[end].isspace():
            end += 1
    rest = line[end:].split()
    if not 1 <= len(rest) <= 2:
        raise ValueError(f"column {end + 1}: a series is followed by a value, and perhaps a time")
    t_ms = None if len(rest) == 1 else _time(rest[1], openmetrics)
    return Row(line[:end].strip(), _number(rest[0]), t_ms, exemplar)


def _number(text: str) -> float:
    if "_" in text:
        raise ValueError(f"{text!r} is no number")
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r} is no number") from None


def _time(text: str, openmetrics: bool) -> int:
    """Milliseconds; OpenMetrics writes seconds."""
    try:
        t_ms = round(_number(text) * 1000) if openmetrics else int(text)
    except (ValueError, OverflowError):
        raise ValueError(f"{text!r} is no time in {'seconds' if openmetrics else 'milliseconds'}") from None
    if not -(1 << 63) <= t_ms < 1 << 63:
        raise ValueError(f"time {text!r} is out of range")
    return t_ms


def _without_exemplar(line: str) -> tuple[str, Exemplar | None]:
    """The line up to its exemplar; a label's value may look like the start of one."""
    bare = _QUOTED.sub(lambda found: "_" * len(found[0]), line)
    at = bare.find(_EXEMPLAR)
    if at < 0:
        return line, None
    end = bare.find("}", at)
    rest = line[end + 1 :].split()
    if end < 0 or not 1 <= len(rest) <= 2:
        raise ValueError(f"column {at + 1}: an exemplar is labels, a value, and perhaps a time")
    labels = make_labels(_pairs(line[at + len(_EXEMPLAR) : end]))
    return line[:at], Exemplar(labels, _number(rest[0]), _time(rest[1], True) if len(rest) == 2 else None)


def series_labels(series: str) -> Labels:
    """The labels of a series' text, the metric name among them. Raises: ExpositionError."""
    name, brace, inside = series.partition("{")
    pairs = [(METRIC_NAME, name.strip())] if name.strip() else []
    try:
        if brace:
            if not inside.endswith("}"):
                raise ValueError("the labels are not closed with '}'")
            pairs += _pairs(inside[:-1])
        labels = make_labels(pairs)
        if len({key for key, _ in pairs}) < len(pairs):
            raise ValueError("a label name stands twice")
        if not labels or not any(key == METRIC_NAME for key, _ in labels):
            raise ValueError("the series has no metric name")
    except ValueError as e:
        raise ExpositionError(f"cannot read series {series[:200]!r}: {e}") from None
    return labels


def series_text(labels: Mapping[str, str]) -> str:
    """The other way: a series' text, its name quoted among the labels."""
    named = [_quoted(labels.get(METRIC_NAME, ""))]
    return "{" + ",".join(named + [f"{_quoted(k)}={_quoted(v)}" for k, v in labels.items() if k != METRIC_NAME]) + "}"


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def _pairs(inside: str) -> list[tuple[str, str]]:
    return list(_each_pair(inside))


def _each_pair(inside: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(inside) and not inside[at:].isspace():
        found = _LABEL.match(inside, at)
        if found is None:
            raise ValueError(f"column {at + 1} of the labels: a label name is missing")
        quoted, plain, equals, value = found.groups()
        if equals is None and value is None and quoted is not None:
            yield METRIC_NAME, _unescaped(quoted)
        elif equals is None or value is None:
            raise ValueError(f"column {at + 1} of the labels: a label is a name, '=' and a quoted value")
        else:
            yield (plain if quoted is None else _unescaped(quoted)), _unescaped(value)
        at = found.end()
        if at < len(inside):
            if inside[at] != ",":
                raise ValueError(f"column {at + 1} of the labels: a comma is missing")
            at += 1


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: _ESCAPES.get(found[1], found[0]), text) if "\\" in text else text
