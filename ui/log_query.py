"""From the search box and the chosen facets to LogQL, and from its answer to rows. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from obs.client import QueryResult
from obs.ui.naming import quoted

LEVEL = "detected_level"
LEVEL_ORDER = ("fatal", "error", "warn", "info", "debug", "trace", "unknown")
_LEVEL_WORDS = {
    "fatal": ("fatal", "crit", "emerg", "alert", "panic"), "error": ("err",), "warn": ("warn",),
    "info": ("info", "notice"), "debug": ("debug",), "trace": ("trace",),
}  # fmt: skip
_METRIC_QUERY = re.compile(
    r"^\s*(?:(?:sum|avg|min|max|count|topk|bottomk|stddev|stdvar|sort|sort_desc)\b\s*(?:(?:by|without)\s*\([^)]*\)\s*)?\("
    r"|(?:rate|count_over_time|bytes_rate|bytes_over_time|absent_over_time|\w+_over_time|rate_counter)\s*\()"
)
_WORDS = re.compile(r'"((?:[^"\\]|\\.)*)"|`([^`]*)`|([^\s|]+)')


def is_metric_query(text: str) -> bool:
    """Whether the text computes numbers rather than selects records."""
    return _METRIC_QUERY.match(text) is not None


def with_filters(text: str, filters: Sequence[str]) -> str:
    """The query of the box with facets added: `label=value`, or `label!=value` to leave out."""
    query = text.strip() or "{}"
    for chosen in filters:
        found = re.fullmatch(r"([A-Za-z_]\w*)(!?=)(.*)", chosen, re.DOTALL)
        if found:
            query += f" | {found[1]} {found[2]} {quoted(found[3])}"
    return query


def volume_query(query: str, width_s: int) -> str:
    """Records by level in every `width_s` seconds."""
    return f"sum by ({LEVEL}) (count_over_time({query} [{width_s}s]))"


def facet_query(query: str, label: str, span_s: int) -> str:
    """How many records each value of a label has in the whole range, the most frequent ones."""
    return f"topk(8, sum by ({label}) (count_over_time({query} [{max(span_s, 1)}s])))"


def words_of(text: str) -> list[str]:
    """What a full-text search looks for, to mark it in the lines; also the texts of line filters."""
    if text.lstrip().startswith("{"):
        return [a or b for a, b in re.findall(r'\|[=~]\s*(?:"((?:[^"\\]|\\.)*)"|`([^`]*)`)', text) if a or b]
    head = text.split("|")[0]
    return [a or b or c for a, b, c in _WORDS.findall(head) if len(a or b or c) > 1]


def rows(result: QueryResult) -> list[dict[str, Any]]:
    """Records newest first: time (ns, text), level, line, labels of the stream, attributes of the record."""
    if result.kind != "streams":
        return []
    found = [_row(stream["stream"], entry) for stream in result.result for entry in stream["values"]]
    return sorted(found, key=lambda row: int(row["t"]), reverse=True)


def _row(stream: Mapping[str, str], entry: Sequence[Any]) -> dict[str, Any]:
    third = entry[2] if len(entry) > 2 else {}
    own = {**third.get("structuredMetadata", {}), **third.get("parsed", {})}
    level = level_of(own.get(LEVEL) or stream.get(LEVEL) or own.get("severity_text") or stream.get("level") or "")
    service = stream.get("service_name") or own.get("service_name") or ""
    return {"t": str(entry[0]), "level": level, "line": entry[1], "service": service, "stream": stream, "own": own}


def level_of(text: str) -> str:
    """One of LEVEL_ORDER."""
    low = text.lower()
    return next((name for name, starts in _LEVEL_WORDS.items() if low.startswith(starts)), "unknown")


def volumes(result: QueryResult) -> tuple[list[float], dict[str, list[float]]]:
    """The times, and by level the counts at each, of a volume query."""
    series = {level_of(s["metric"].get(LEVEL, "")): dict(_points(s["values"])) for s in result.result}
    times = sorted({t for points in series.values() for t in points})
    shown = {"other" if level == "unknown" else level: [p.get(t, 0.0) for t in times] for level, p in series.items()}
    return times, shown


def _points(values: Iterable[Sequence[Any]]) -> list[tuple[float, float]]:
    return [(float(t), float(v)) for t, v in values]


def facet(result: QueryResult, label: str) -> list[tuple[str, int]]:
    """Values of a label with their counts, the most frequent first."""
    counted = [(e["metric"].get(label, ""), int(float(e["value"][1]))) for e in result.result]
    return sorted((c for c in counted if c[0]), key=lambda c: -c[1])
