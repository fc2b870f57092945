"""Elasticsearch's bulk body: lines of actions and documents, as log records and an answer for each.

Source: elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from obs.collector.receivers import documents
from obs.errors import UserError
from obs.otlp.records import Record

CREATING = ("index", "create")
ACTIONS = (*CREATING, "update", "delete")


@dataclass(slots=True)
class Item:
    """One action: its record, or why there is none (type of error, reason)."""

    action: str
    index: str
    id: str
    record: Record | None = None
    error: tuple[str, str] | None = None

    def answer(self) -> dict[str, Any]:
        """Its entry in the answer's `items`."""
        named = {"_index": self.index, "_id": self.id}
        if self.error is not None:
            kind, reason = self.error
            return {self.action: {**named, "status": 400, "error": {"type": kind, "reason": reason}}}
        done = {"_version": 1, "result": "created", "_shards": {"total": 1, "successful": 1, "failed": 0}}
        return {self.action: {**named, **done, "_seq_no": 0, "_primary_term": 1, "status": 201}}


def parse(body: bytes, index: str = "") -> list[Item]:
    """Every action of a body; `index`: where an action names none. Raises: UserError where the body has no actions."""
    lines = [line for line in body.split(b"\n") if line.strip()]
    if not lines:
        raise UserError("request body is required")
    items: list[Item] = []
    at = 0
    while at < len(lines):
        item = _action(lines[at], index, at + 1)
        at += 1
        if item.action != "delete":
            if at == len(lines):
                raise UserError(f"Malformed action/metadata line [{at}], its document is missing")
            _read(item, lines[at])
            at += 1
        items.append(item)
    return items


def _action(line: bytes, index: str, number: int) -> Item:
    try:
        found = orjson.loads(line)
        ((action, meta),) = found.items()
    except (orjson.JSONDecodeError, ValueError, AttributeError):
        raise UserError(f"Malformed action/metadata line [{number}], expected one of {', '.join(ACTIONS)}") from None
    if action not in ACTIONS or not isinstance(meta, dict):
        raise UserError(f"Malformed action/metadata line [{number}], expected one of {', '.join(ACTIONS)}")
    item = Item(action, str(meta.get("_index") or index), str(meta.get("_id") or secrets.token_urlsafe(15)))
    if not item.index:
        item.error = ("action_request_validation_exception", "Validation Failed: 1: index is missing;")
    elif action not in CREATING:
        item.error = ("illegal_argument_exception", f"cannot {action} documents: logs are written once; use create")
    return item


def _read(item: Item, line: bytes) -> None:
    if item.error is not None:
        return
    try:
        document = loads(line)
    except ValueError as e:
        item.error = ("document_parsing_exception", f"failed to parse: {e}")
        return
    if not isinstance(document, dict):
        item.error = ("document_parsing_exception", "failed to parse: a document is an object")
        return
    try:
        item.record = record(document, item.index)
    except UserError as e:
        item.error = ("document_parsing_exception", f"failed to parse: {e}")


def loads(line: bytes) -> Any:
    """JSON, read by the strict quick parser, or by Python's where that refuses. Raises: ValueError."""
    try:
        return orjson.loads(line)
    except orjson.JSONDecodeError as strict:
        try:
            return json.loads(line.decode("utf-8", "replace"))
        except (ValueError, RecursionError):
            raise strict from None


def record(document: Mapping[str, Any], index: str) -> Record:
    """The record of a document that was sent to an index."""
    return documents.record(document, {"index": index})
