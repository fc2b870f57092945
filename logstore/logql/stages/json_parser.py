"""`| json`: labels from a JSON line. Objects flatten with `_`, arrays are left out; `__error__` where it is no JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import orjson

from obs.logstore.chunks import Rows
from obs.logstore.logql.stages.made_labels import labels_of_rows
from obs.logstore.logql.syntax import JsonParser
from obs.logstore.names import label_name
from obs.logstore.selection import Requirement

_STEP = re.compile(r'\["((?:\\.|[^"\\])*)"\]|\[(\d+)\]|\.?([A-Za-z_][\w-]*)')
ERROR = {"__error__": "JSONParserErr"}


class JsonStage:
    """All of the line, or the paths asked for."""

    makes_labels = True

    def __init__(self, syntax: JsonParser) -> None:
        self._paths = [(name, _path(path)) for name, path in syntax.extractions]

    def apply(self, rows: Rows) -> Rows:
        """Parse each distinct line once."""
        return rows.with_labels(labels_of_rows(rows, self._labels))

    def requirements(self) -> tuple[Requirement, ...]:
        """Parsing keeps every row."""
        return ()

    def _labels(self, line: str) -> dict[str, str]:
        try:
            value = orjson.loads(line)
        except orjson.JSONDecodeError:
            return ERROR
        if not isinstance(value, dict):
            return ERROR
        if self._paths:
            found = ((name, _text(_at(value, path))) for name, path in self._paths)
            return {name: text for name, text in found if text is not None}
        return dict(_flatten(value, ""))


def _flatten(value: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for key, inner in value.items():
        name = prefix + label_name(key)
        if isinstance(inner, dict):
            yield from _flatten(inner, f"{name}_")
        elif not isinstance(inner, list):
            text = _text(inner)
            if text is not None:
                yield name, text


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
