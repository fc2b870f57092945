"""The Loki HTTP API. Times are nanoseconds since 1970."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode

from obs.client.results import QueryResult
from obs.client.transport import ClientError, Params, Transport, segment

API = "/loki/api/v1"
CATEGORIZED = {"X-Loki-Response-Encoding-Flags": "categorize-labels"}
"""Asks for stream labels and a record's own attributes apart: [time, line, {structuredMetadata, parsed}]."""

LOST = "connection_lost"
"""The kind of error of a tail that may be tried again."""

UNSUPPORTED_DATA = 1003


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
        direction: str = "backward", after: str | None = None,
    ) -> QueryResult:  # fmt: skip
        """Records where start <= time < end behind the page whose cursor is `after`, or a metric's matrix."""
        params: Params = [
            ("query", query), ("start", start_ns), ("end", end_ns), ("limit", limit), ("direction", direction),
            ("step", None if step_s is None else f"{step_s:g}s"), ("after", after),
        ]  # fmt: skip
        return QueryResult.of(self._transport.json(f"{API}/query_range", params, CATEGORIZED, form=True))

    def context(self, query: str, time_ns: int, line: str, before: int, after: int) -> tuple[QueryResult, int]:
        """The lines around a line of `query` in its stream, oldest first, and the place of that line."""
        params = [("query", query), ("time", time_ns), ("line", line), ("before", before), ("after", after)]
        answer = self._transport.json(f"{API}/context", params, form=True)
        return QueryResult.of(answer), answer["data"]["position"]

    def explain(self, query: str) -> str:
        """The plan of a query."""
        return str(self._data("explain", [("query", query)]))

    def tail(self, query: str, start_ns: int, limit: int) -> Iterator[Mapping[str, Any]]:
        """What there is since `start_ns`, at most `limit` lines, then lines as they come: {streams, dropped_entries}.

        Raises: ClientError where the query or the connection fails.
        """
        import websockets.sync.client  # costs half as much as the rest of the command line together

        where = urlencode({"query": query, "start": start_ns, "limit": limit})
        url = f"ws{self._transport.base_url.removeprefix('http')}{API}/tail?{where}"
        try:
            with websockets.sync.client.connect(url, additional_headers=CATEGORIZED, max_size=None) as socket:
                for message in socket:
                    yield json.loads(message)
        except websockets.exceptions.ConnectionClosed as e:
            said = e.rcvd.reason if e.rcvd is not None else ""
            if e.rcvd is not None and e.rcvd.code == UNSUPPORTED_DATA:
                raise ClientError(said, status=400) from None
            raise ClientError(said or f"lost the connection to {self._transport.base_url}", kind=LOST) from None
        except (OSError, websockets.exceptions.WebSocketException) as e:
            raise ClientError(f"cannot reach obs at {self._transport.base_url}: {e}", kind=LOST) from None
        raise ClientError(f"lost the connection to {self._transport.base_url}", kind=LOST)

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
