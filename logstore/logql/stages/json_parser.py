"""`| json`: labels from a JSON line. Objects flatten with `_`, arrays are left out; `__error__` where it is no JSON.

A number is the text that the line has, as in Loki: `1.50` stays so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from obs.logstore.chunks import Rows
from obs.logstore.logql.stages.errors import JSON, error_of
from obs.logstore.logql.stages.made_labels import Wanted, parsed_rows
from obs.logstore.logql.syntax import JsonParser
from obs.logstore.names import label_name
from obs.logstore.selection import Requirement

_STEP = re.compile(r'\["((?:\\.|[^"\\])*)"\]|\[(\d+)\]|\.?([A-Za-z_][\w-]*)')


class JsonStage:
    """All of the line, or the paths asked for."""

    makes_labels = True

    def __init__(self, syntax: JsonParser, wanted: Wanted | None = None) -> None:
        self._wanted = wanted
        self._paths = [(name, _path(path)) for name, path in syntax.extractions]

    def apply(self, rows: Rows) -> Rows:
        """Parse each distinct line once."""
        return parsed_rows(rows, self._labels, self._wanted)

    def requirements(self) -> tuple[Requirement, ...]:
        """Parsing keeps every row; the filters behind it may not."""
        return self._wanted.requires if self._wanted is not None and self._wanted.only else ()

    def _labels(self, line: str) -> Mapping[str, str]:
        value = read_object(line)
        if isinstance(value, str):
            return error_of(JSON, value)
        if self._paths:
            asked = ((name, _text_at(line, value, path)) for name, path in self._paths)
            return {name: text for name, text in asked if text is not None}
        found: dict[str, str] = {}
        for path, text in _texts(line, value):
            found.setdefault("_".join(map(label_name, path)), text)  # of a label that comes twice the first is kept
        return found


def json_fields(line: str) -> list[tuple[str, tuple[str, ...], str]] | None:
    """(label, path, text) of each value in a JSON object that is no list; None where the line is no object."""
    value = read_object(line)
    if isinstance(value, str):
        return None
    return [("_".join(map(label_name, path)), path, text) for path, text in _texts(line, value)]


def read_object(line: str) -> dict[str, Any] | str:
    """The object that a line is, or why it is none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as e:
        return str(e)
    return value if isinstance(value, dict) else "the line is JSON but no object"


def _as_written(line: str, value: dict[str, Any]) -> dict[str, Any]:
    """The same object with numbers as the texts that the line has."""
    try:
        written: dict[str, Any] = json.loads(line, parse_float=str, parse_int=str)
    except RecursionError:
        return value
    return written


def _texts(line: str, value: dict[str, Any]) -> list[tuple[tuple[str, ...], str]]:
    """(path, text) of every value of a line's object."""
    found = list(_flatten(value))
    if any(isinstance(inner, float) for _, inner in found):
        found = list(_flatten(_as_written(line, value)))
    return [(path, text) for path, inner in found if (text := _text(inner)) is not None]


def _flatten(value: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """(path, value) of all but lists, in the order of the line; without recursion, since orjson reads 1,024 levels."""
    waiting: list[tuple[tuple[str, ...], Iterator[tuple[str, Any]]]] = [((), iter(value.items()))]
    while waiting:
        above, items = waiting[-1]
        for key, inner in items:
            if isinstance(inner, dict):
                waiting.append(((*above, key), iter(inner.items())))
                break
            if not isinstance(inner, list):
                yield (*above, key), inner
        else:
            waiting.pop()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return str(value)


def _text_at(line: str, value: dict[str, Any], path: list[str | int]) -> str | None:
    found = _at(value, path)
    return _text(_at(_as_written(line, value), path) if isinstance(found, float) else found)


def _path(text: str) -> list[str | int]:
    """`a.b[0]["c d"]` as its steps."""
    return [int(index) if index else quoted or name for quoted, index, name in _STEP.findall(text)]


def _at(value: Any, path: list[str | int]) -> Any:
    for step in path:
        try:
            value = value[step]
        except (KeyError, IndexError, TypeError):
            return None
    return value
