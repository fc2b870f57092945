"""Spans in the notation of tests/scripts/traceql/README.md."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from span_batches import SpanRow, trace_id

from obs.tracestore.durations import duration_ns
from obs.tracestore.names import KINDS, STATUSES


def span_number(letter: str) -> int:
    """The id of a span by its letter."""
    return ord(letter) - ord("a") + 1


def span_letter(span_id: str) -> str:
    """The way back, from hex."""
    return chr(int(span_id, 16) + ord("a") - 1)


def spans_of(lines: list[str]) -> Iterator[SpanRow]:
    """The spans of a load, parents before children."""
    trace, above = 0, [(0, 0)]
    for line in lines:
        indent, text = len(line) - len(line.lstrip()), line.strip()
        if text.startswith("trace "):
            trace, above = int(text.removeprefix("trace ")), []
            continue
        above = [(i, span) for i, span in above if i < indent]
        row = _span(trace, above[-1][1] if above else 0, text)
        above.append((indent, row.span))
        yield row


def _span(trace: int, parent: int, text: str) -> SpanRow:
    letter, rest = text.split(" ", 1)
    named = re.fullmatch(r"(?:(\w*):)?(.*?) (\S+)\+(\S+)((?: .*)?)", rest)
    assert named, text
    service, name, start, length, more = named.groups()
    begins = duration_ns(start)
    made: dict[str, Any] = {"attributes": {}, "resource": {}, "scope": {}, "events": [], "links": []}
    for word in _words(more):
        _add(made, word, begins)
    made["events"], made["links"] = tuple(made["events"]), tuple(made["links"])
    made.setdefault("parent", parent)
    return SpanRow(
        trace, span_number(letter), service=service or None, name=name, start=begins, end=begins + duration_ns(length),
        **made,
    )  # fmt: skip


def _words(text: str) -> list[str]:
    """Words; what stands in quotes, braces or brackets is not parted."""
    return re.findall(r"(?:\{[^}]*\}|\[[^\]]*\]|\"[^\"]*\"|\S)+", text)


def _add(made: dict[str, Any], word: str, start: int) -> None:
    if word in KINDS:
        made["kind"] = KINDS.index(word)
    elif word in STATUSES:
        made["status"] = STATUSES.index(word)
    elif word.startswith("event:"):
        event = re.fullmatch(r"event:([\w.]+)(?:@(\w+))?(\{.*\})?", word)
        assert event, word
        at = start + duration_ns(event[2] or "0s")
        made["events"].append({"time_ns": at, "name": event[1], "attributes": event[3] or "{}", "dropped": 0})
    elif word.startswith("link:"):
        link = re.fullmatch(r"link:(\d+)\.(\w)(\{.*\})?", word)
        assert link, word
        made["links"].append(
            {"trace_id": trace_id(int(link[1])), "span_id": span_number(link[2]).to_bytes(8, "big"),
             "attributes": link[3] or "{}"}
        )  # fmt: skip
    else:
        _add_pair(made, *word.split("=", 1))


def _add_pair(made: dict[str, Any], key: str, text: str) -> None:
    if key == "parent":
        made["parent"] = 0 if text == "none" else span_number(text)
    elif key in ("message", "library"):
        made[key] = value_of(text)
    elif key.startswith("resource."):
        made["resource"][key.removeprefix("resource.")] = str(value_of(text))
    elif key.startswith("scope."):
        made["scope"][key.removeprefix("scope.")] = str(value_of(text))
    else:
        made["attributes"][key] = value_of(text)


def value_of(text: str) -> Any:
    """A value as it is written; lists become JSON texts."""
    if text.startswith("["):
        return JsonText(json.dumps(json.loads(text)))
    if text in ("true", "false"):
        return text == "true"
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    if re.fullmatch(r"-?\d+\.\d+", text):
        return float(text)
    return shlex.split(text)[0]


class JsonText(str):
    """The value of an attribute of type json: its own class tells it from text."""
