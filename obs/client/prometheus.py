"""The Prometheus HTTP API. Times are seconds since 1970."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from obs.client.results import QueryResult
from obs.client.transport import Params, Transport, segment

API = "/api/v1"


class Prometheus:
    """PromQL, series and rules."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def query(self, query: str, time_s: float | None = None) -> QueryResult:
        """`query` at one moment (None: now)."""
        answer = self._transport.json(f"{API}/query", [("query", query), ("time", time_s)], form=True)
        return QueryResult.of(answer)

    def query_range(self, query: str, start_s: float, end_s: float, step_s: float) -> QueryResult:
        """`query` at every step of a range, both ends included."""
        params = [("query", query), ("start", start_s), ("end", end_s), ("step", step_s)]
        return QueryResult.of(self._transport.json(f"{API}/query_range", params, form=True))

    def query_why(
        self, query: str, time_s: float | None = None, start_s: float | None = None, end_s: float | None = None,
        step_s: float | None = None,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """Why `query` gives nothing, at one moment or (with a step) over a range; empty where it gives something."""
        times = [("time", time_s), ("start", start_s), ("end", end_s), ("step", step_s)]
        answer = self._transport.json(f"{API}/query_why", [("query", query), *times], form=True)
        reasons: list[dict[str, Any]] = answer["data"]["reasons"]
        return reasons

    def labels(self, match: Sequence[str] = (), start_s: float | None = None, end_s: float | None = None) -> list[str]:
        """Names of labels."""
        names: list[str] = self._data("labels", _selection(match, start_s, end_s))
        return names

    def label_values(
        self, name: str, match: Sequence[str] = (), start_s: float | None = None, end_s: float | None = None
    ) -> list[str]:
        """Values of a label; of `__name__`: the metrics."""
        values: list[str] = self._data(f"label/{segment(name)}/values", _selection(match, start_s, end_s))
        return values

    def series(
        self, match: Sequence[str], start_s: float | None = None, end_s: float | None = None
    ) -> list[dict[str, str]]:
        """Label sets of the series that match any selector."""
        found: list[dict[str, str]] = self._data("series", _selection(match, start_s, end_s))
        return found

    def metadata(self, metric: str | None = None) -> dict[str, list[dict[str, str]]]:
        """Type, unit and help by metric family."""
        found: dict[str, list[dict[str, str]]] = self._data("metadata", [("metric", metric)])
        return found

    def rules(self) -> list[dict[str, Any]]:
        """Groups of rules with their state."""
        groups: list[dict[str, Any]] = self._data("rules")["groups"]
        return groups

    def alerts(self) -> list[dict[str, Any]]:
        """Pending and firing alerts."""
        alerts: list[dict[str, Any]] = self._data("alerts")["alerts"]
        return alerts

    def _data(self, path: str, params: Params = ()) -> Any:
        return self._transport.json(f"{API}/{path}", params)["data"]


def _selection(match: Sequence[str], start_s: float | None, end_s: float | None) -> Params:
    return [*(("match[]", m) for m in match), ("start", start_s), ("end", end_s)]
