"""Splunk's HTTP event collector: events in JSON, one after the other, and raw lines, as log records.

Source: docs.splunk.com, "Format events for HTTP Event Collector".
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from obs.collector.receivers import documents
from obs.collector.receivers.levels import line_severity
from obs.errors import UserError
from obs.otlp.records import Record, cells, mended

_DECODER = json.JSONDecoder()
_SPACE = " \t\r\n"

ENVELOPE = {"host": "host.name", "source": "source", "sourcetype": "sourcetype", "index": "index"}
"""What an event says of where it is from → the resource's attribute."""


class BadEvent(UserError):
    """An event that cannot be taken; `number` counts from 0, `code` is Splunk's."""

    def __init__(self, number: int, code: int, message: str) -> None:
        super().__init__(message)
        self.number, self.code = number, code


NO_DATA, BAD_FORMAT, NO_EVENT, BLANK_EVENT, BAD_FIELDS = 5, 6, 12, 13, 15
"""Source: docs.splunk.com, "Troubleshoot HTTP Event Collector", "Possible error codes"."""


def from_events(body: bytes, given: Mapping[str, str]) -> Iterator[Record]:
    """The records of a body of events; `given`: what the request's parameters say for all. Raises: BadEvent."""
    text, at, number = body.decode("utf-8", "replace"), 0, 0
    while True:
        while at < len(text) and text[at] in _SPACE:
            at += 1
        if at == len(text):
            break
        try:
            event, at = _DECODER.raw_decode(text, at)
        except (json.JSONDecodeError, RecursionError) as e:
            raise BadEvent(number, BAD_FORMAT, f"Invalid data format: {e}") from None
        for each in event if isinstance(event, list) else [event]:
            yield _record(each, given, number)
            number += 1
    if not number:
        raise BadEvent(0, NO_DATA, "No data")


def _record(envelope: Any, given: Mapping[str, str], number: int) -> Record:
    if not isinstance(envelope, dict):
        raise BadEvent(number, BAD_FORMAT, "Invalid data format: an event is an object")
    event, fields = envelope.get("event"), envelope.get("fields") or {}
    if event is None:
        raise BadEvent(number, NO_EVENT, "Event field is required")
    if event == "":
        raise BadEvent(number, BLANK_EVENT, "Event field cannot be blank")
    if not isinstance(fields, dict):
        raise BadEvent(number, BAD_FIELDS, "Error in handling indexed fields")
    time_ns = documents.time_ns(envelope.get("time"))
    resource = _resource({**given, **{k: str(envelope[k]) for k in ENVELOPE if envelope.get(k)}})
    try:
        if not isinstance(event, dict):
            event = {"message": event if isinstance(event, str) else json.dumps(event)}
        found = documents.record(event, resource, time_ns)
        found.attributes = {**found.attributes, **cells(fields)}
    except (UserError, RecursionError) as e:
        raise BadEvent(number, BAD_FORMAT, f"Invalid data format: {e}") from None
    return found


def from_lines(body: bytes, given: Mapping[str, str]) -> Iterator[Record]:
    """A record for each line that is not empty. Raises: BadEvent."""
    resource = _resource(given)
    lines = [line for line in body.decode("utf-8", "replace").splitlines() if line]
    if not lines:
        raise BadEvent(0, NO_DATA, "No data")
    shared = documents.record({}, resource).resource
    yield from (Record(mended(line), severity_number=line_severity(line), resource=shared) for line in lines)


def _resource(said: Mapping[str, str]) -> dict[str, str]:
    return {ENVELOPE[key]: value for key, value in said.items() if key in ENVELOPE}
