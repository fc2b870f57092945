"""What fields and labels a query's records have: found in a sample of lines, typed, with how many values each has.

Source: Loki, "HTTP API", Detected fields and Detected labels.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from obs.errors import QueryError
from obs.logstore.logql import LogQL
from obs.logstore.logql.records import LogEntry
from obs.logstore.logql.stages.json_parser import json_fields
from obs.logstore.logql.stages.logfmt_parser import logfmt_pairs
from obs.logstore.logql.stages.made_labels import EXTRACTED
from obs.logstore.logql.units import bytes_value, duration_ns
from obs.logstore.names import label_name
from obs.model.labels import Labels

SAMPLE_LINES = 100
"""Lines looked at where a request names no `line_limit`; Loki's number."""

FIELDS = 1_000
"""Fields returned where a request names no `limit`; Loki's number."""

_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_PLACES = frozenset(("cluster", "namespace", "instance", "pod", "service_name"))
"""Labels worth a choice even where all their values are ids."""


@dataclass(slots=True)
class DetectedField:
    """A field, the parser of the line that finds it (none: an attribute), its place in a JSON line, its values."""

    label: str
    parser: str | None
    path: tuple[str, ...] = ()
    values: set[str] = field(default_factory=set)

    @property
    def type(self) -> str:
        """int, float, boolean, duration, bytes or string: what all values can be read as."""
        return next((name for name, test in _TYPES.items() if all(map(test, self.values))), "string")


def detected_fields(logql: LogQL, query: str, start_ns: int, end_ns: int, lines: int) -> list[DetectedField]:
    """The fields of the newest `lines` records of a log query, by name. Raises: QueryError, QueryLimit."""
    if not logql.is_records(query):
        raise QueryError(f"cannot detect fields of {query!r}: it computes numbers; give a selector")
    found: dict[str, DetectedField] = {}
    for entry in logql.records(query, start_ns, end_ns, lines, newest_first=True).entries:
        for label, parser, path, value in _fields_of(entry):
            known = found.setdefault(label, DetectedField(label, parser, path))
            known.values.add(value)
    return [found[name] for name in sorted(found)]


def _fields_of(entry: LogEntry) -> Iterator[tuple[str, str | None, tuple[str, ...], str]]:
    """(label, parser, path, value) of an entry's attributes, and of its line unless the query parsed it."""
    for label, value in {**entry.metadata, **entry.parsed}.items():
        if not label.startswith("__"):
            yield label, None, (), value
    if entry.parsed:
        return
    taken = {name for name, _ in entry.stream} | set(entry.metadata)
    for label, parser, path, value in _in_line(entry.line):
        yield label + EXTRACTED if label in taken else label, parser, path, value


def _in_line(line: str) -> Iterator[tuple[str, str, tuple[str, ...], str]]:
    fields = json_fields(line)
    if fields is not None:
        for name, path, text in fields:
            yield name, "json", path, text
        return
    for key, text in logfmt_pairs(line).items():
        if text:
            yield label_name(key), "logfmt", (), text


def detected_labels(streams: Iterable[Labels]) -> dict[str, int]:
    """Label → number of values, of those that are worth a choice: not where every value is an id or a number."""
    values_of: dict[str, set[str]] = {}
    for labels in streams:
        for name, value in labels:
            values_of.setdefault(name, set()).add(value)
    return {name: len(v) for name, v in sorted(values_of.items()) if name in _PLACES or not all(map(_is_id, v))}


def _is_id(text: str) -> bool:
    return _UUID.fullmatch(text) is not None or _NUMBER.fullmatch(text) is not None


def _is_int(text: str) -> bool:
    return re.fullmatch(r"[+-]?\d{1,19}", text) is not None


def _is_float(text: str) -> bool:
    return _NUMBER.fullmatch(text) is not None


def _with_unit(read: Callable[[str], float], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return text[-1:].isalpha()


_TYPES: Mapping[str, Callable[[str], bool]] = {
    "int": _is_int,
    "float": _is_float,
    "boolean": lambda text: text in ("true", "false"),
    "duration": partial(_with_unit, duration_ns),
    "bytes": partial(_with_unit, bytes_value),
}
