"""What the contract of receivers means for logs, traces and metrics: the items, and the query that finds them."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any

from log_senders import Line
from metric_senders import Reading
from obs_process import ObsProcess
from receiver_contract import NOW_US, AcknowledgedContract, ReceiverContract
from span_senders import Sent


class Logs(ReceiverContract):
    """Lines, found by LogQL."""

    signal = "logs"

    def items(self, mark: str, texts: Sequence[str]) -> list[Line]:
        """A microsecond apart; every other one is an error."""
        return [
            Line((NOW_US + i) * 1000, text, ("error", "info")[i % 2], "web-1", mark) for i, text in enumerate(texts)
        ]

    def found(self, obs: ObsProcess, mark: str) -> list[Line]:
        """By service, oldest first."""
        query = f'{{service_name="{mark}"}}'
        asked = [("query", query), ("start", "1"), ("end", str(NOW_US * 1000 + 10**15)), ("limit", "5000")]
        streams = json.loads(obs.client.transport.raw("/loki/api/v1/query_range", asked))["data"]["result"]
        lines = [(s["stream"], int(v[0]), v[1]) for s in streams for v in s["values"]]
        found = (Line(t, text, of["detected_level"], of["host_name"], of["service_name"]) for of, t, text in lines)
        return sorted(found, key=lambda line: line.time_ns)


class Traces(ReceiverContract):
    """The spans of a trace, found by its id."""

    signal = "traces"

    def items(self, mark: str, texts: Sequence[str]) -> list[Sent]:
        """A chain whose kinds, faults and events take turns."""
        return [
            Sent(
                _trace(mark), i + 1, i, text, NOW_US + i, 1000 + i, mark, ("SERVER", "CLIENT")[i % 2], f"tag of {text}",
                i % 3 == 0, f"event {i}" if i % 2 else "",
            )
            for i, text in enumerate(texts)
        ]  # fmt: skip

    def found(self, obs: ObsProcess, mark: str) -> list[Sent]:
        """As Jaeger shows them, by span id."""
        trace = jaeger_trace(obs, f"{_trace(mark):032x}")
        return sorted((_sent(span, trace["processes"]) for span in trace["spans"]), key=lambda sent: sent.span)

    def test_ids_of_64_bits_are_found_either_way(self, obs: ObsProcess) -> None:
        trace = 0xFEED000000000000 + zlib.crc32(self.name.encode())
        self.sender(obs, [Sent(trace, 0x8000000000000001, 0, "short", NOW_US), Sent(trace, 2, 0, "other", NOW_US)])
        for written in (f"{trace:016x}", f"{trace:032x}"):
            spans = jaeger_trace(obs, written)["spans"]
            assert {span["spanID"] for span in spans} == {"8000000000000001", f"{2:016x}"}


def jaeger_trace(obs: ObsProcess, trace: str) -> Any:
    """A trace in Jaeger's JSON."""
    (found,) = json.loads(obs.client.transport.raw(f"/jaeger/api/traces/{trace}", []))["data"]
    return found


def _trace(mark: str) -> int:
    """An id of 128 bits for each mark."""
    return 0xA1B2C3D4E5F60718 << 64 | zlib.crc32(mark.encode())


def _sent(span: Any, processes: Any) -> Sent:
    tags = {tag["key"]: tag["value"] for tag in span["tags"]}
    parents = [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"]
    events = [f["value"] for log in span["logs"] for f in log["fields"] if f["key"] == "event"]
    return Sent(
        int(span["traceID"], 16), int(span["spanID"], 16), int(parents[0], 16) if parents else 0, span["operationName"],
        span["startTime"], span["duration"], processes[span["processID"]]["serviceName"], tags["span.kind"].upper(),
        tags["tag"], tags.get("error", False), events[0] if events else "",
    )  # fmt: skip


class Metrics(AcknowledgedContract):
    """Series of a job, found by PromQL."""

    signal = "metrics"

    def items(self, mark: str, texts: Sequence[str]) -> list[Reading]:
        """A series for each text, sorted by it."""
        return sorted(Reading(mark, text, i + 0.5, NOW_US // 1000) for i, text in enumerate(texts))

    def found(self, obs: ObsProcess, mark: str) -> list[Reading]:
        """All samples up to a minute later, with their own times."""
        asked = [("query", f'contract_gauge{{job="{mark}"}}[2m]'), ("time", str(NOW_US // 10**6 + 60))]
        matrix = json.loads(obs.client.transport.raw("/api/v1/query", asked))["data"]["result"]
        return sorted(
            Reading(of["job"], of["text"], float(value), int(t_s * 1000))
            for of, values in ((series["metric"], series["values"]) for series in matrix)
            for t_s, value in values
        )
