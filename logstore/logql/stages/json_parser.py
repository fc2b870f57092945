"""`| json`: labels from a JSON line. Objects flatten with `_`, arrays are left out; `__error__` where it is no JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from obs.logstore.chunks import Rows
from obs.logstore.logql.stages.errors import JSON, error_of
from obs.logstore.logql.stages.made_labels import parsed_rows
from obs.logstore.logql.syntax import JsonParser
from obs.logstore.names import label_name
from obs.logstore.selection import Requirement

_STEP = re.compile(r'\["((?:\\.|[^"\\])*)"\]|\[(\d+)\]|\.?([A-Za-z_][\w-]*)')


class JsonStage:
    """All of the line, or the paths asked for."""

    makes_labels = True

    def __init__(self, syntax: JsonParser) -> None:
        self._paths = [(name, _path(path)) for name, path in syntax.extractions]

    def apply(self, rows: Rows) -> Rows:
        """Parse each distinct line once."""
        return parsed_rows(rows, self._labels)

    def requirements(self) -> tuple[Requirement, ...]:
        """Parsing keeps every row."""
        return ()

    def _labels(self, line: str) -> Mapping[str, str]:
        value = read_object(line)
        if isinstance(value, str):
            return error_of(JSON, value)
        if self._paths:
            found = ((name, _text(_at(value, path))) for name, path in self._paths)
            return {name: text for name, text in found if text is not None}
        return {"_".join(map(label_name, path)): text for path, text in _flatten(value)}


def json_fields(line: str) -> list[tuple[str, tuple[str, ...], str]] | None:
    """(label, path, text) of each value in a JSON object that is no list; None where the line is no object."""
    value = read_object(line)
    if isinstance(value, str):
        return None
    return [("_".join(map(label_name, path)), path, text) for path, text in _flatten(value)]


def read_object(line: str) -> dict[str, Any] | str:
    """The object that a line is, or why it is none."""
    try:
        value = orjson.loads(line)
    except orjson.JSONDecodeError as e:
        return str(e)
    return value if isinstance(value, dict) else "the line is JSON but no object"


def _flatten(value: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(path, text) of every value, in the order of the line; without recursion, since orjson reads 1,024 levels."""
    waiting: list[tuple[tuple[str, ...], Iterator[tuple[str, Any]]]] = [((), iter(value.items()))]
    while waiting:
        above, items = waiting[-1]
        for key, inner in items:
            if isinstance(inner, dict):
                waiting.append(((*above, key), iter(inner.items())))
                break
            text = None if isinstance(inner, list) else _text(inner)
            if text is not None:
                yield (*above, key), text
        else:
            waiting.pop()


def _text(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return (
        value
        if isinstance(value, str)
        else f"{value:g}"
        if isinstance(value, float) and value.is_integer()
        else str(value)
    )


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
