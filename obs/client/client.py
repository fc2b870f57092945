"""`ObsClient`: one object with a part per protocol; the parts share a transport."""

from __future__ import annotations

from typing import Any

from obs.client.loki import Loki
from obs.client.prometheus import Prometheus
from obs.client.traces import Traces
from obs.client.transport import Transport


class ObsClient:
    """A running obs. `prometheus`, `loki` and `traces` ask the stores; the methods here ask about obs itself."""

    def __init__(self, base_url: str = "http://127.0.0.1:9600", timeout_s: float = 30.0) -> None:
        self.transport = Transport(base_url, timeout_s)
        self.prometheus = Prometheus(self.transport)
        self.loki = Loki(self.transport)
        self.traces = Traces(self.transport)

    @property
    def base_url(self) -> str:
        """Where the server is."""
        return self.transport.base_url

    def sql(self, query: str) -> dict[str, Any]:
        """`{columns, rows}` of a SQL query over metrics, series, logs and spans."""
        answer: dict[str, Any] = self.transport.json("/api/sql", [("q", query)])
        return answer

    def sql_as(self, query: str, media_type: str) -> bytes:
        """A SQL result as `text/csv` or `application/vnd.apache.arrow.stream`."""
        return self.transport.raw("/api/sql", [("q", query)], {"Accept": media_type})

    def status(self) -> dict[str, Any]:
        """How obs itself is doing: stores, ledger, recovery, agent."""
        answer: dict[str, Any] = self.transport.json("/api/status")
        return answer

    def ready(self) -> bool:
        """Whether the server says it is ready. Raises: ClientError where it cannot be reached."""
        return self.transport.raw("/-/ready") is not None

    def flush(self) -> None:
        """Write what is in memory out as blocks, and wait for it."""
        self.transport.raw("/internal/flush", form=True)

    def notified_alerts(self) -> list[dict[str, Any]]:
        """The alerts the alertmanager holds."""
        answer: list[dict[str, Any]] = self.transport.json("/alertmanager/api/v2/alerts")
        return answer
