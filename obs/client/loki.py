"""The Loki HTTP API. Times are nanoseconds since 1970."""

from __future__ import annotations

from typing import Any

from obs.client.results import QueryResult
from obs.client.transport import Params, Transport, segment

API = "/loki/api/v1"
CATEGORIZED = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
"""Asks for stream labels and a record's own attributes apart: [time, line, {structuredMetadata, parsed}]."""


class Loki:
    """LogQL and labels of streams."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def query(self, query: str, time_ns: int | None = None, limit: int | None = None) -> QueryResult:
        """`query` at one moment (None: now)."""
        params = [("query", query), ("time", time_ns), ("limit", limit)]
        return QueryResult.of(self._transport.json(f"{API}/query", params, CATEGORIZED, form=True))

    def query_range(
        self, query: str, start_ns: int, end_ns: int, *, limit: int | None = None, step_s: float | None = None,
        direction: str = "backward",
    ) -> QueryResult:  # fmt: skip
        """Records where start <= time < end, or a metric query's matrix at every step."""
        params: Params = [
            ("query", query), ("start", start_ns), ("end", end_ns), ("limit", limit), ("direction", direction),
            ("step", None if step_s is None else f"{step_s:g}s"),
        ]  # fmt: skip
        return QueryResult.of(self._transport.json(f"{API}/query_range", params, CATEGORIZED, form=True))

    def format(self, query: str) -> str:
        """The query in canonical form, which stands inside others too: words become phrases after a selector."""
        return str(self._data("format_query", [("query", query)]))

    def labels(self, start_ns: int | None = None, end_ns: int | None = None) -> list[str]:
        """Names of stream labels."""
        names: list[str] = self._data("labels", [("start", start_ns), ("end", end_ns)])
        return names

    def label_values(
        self, name: str, start_ns: int | None = None, end_ns: int | None = None, query: str | None = None
    ) -> list[str]:
        """Values of a stream label, of the streams that `query` selects."""
        params: Params = [("start", start_ns), ("end", end_ns), ("query", query)]
        values: list[str] = self._data(f"label/{segment(name)}/values", params)
        return values

    def _data(self, path: str, params: Params) -> Any:
        return self._transport.json(f"{API}/{path}", params).get("data") or []
