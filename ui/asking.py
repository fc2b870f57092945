"""Several queries at once: a page asks for all that it shows in one go, each answer or error under its name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from obs.client import ClientError, ObsClient, QueryResult
from obs.ui.timerange import TimeRange, time_range
from obs.ui.view import View

T = TypeVar("T")
WORKERS = 6
"""Questions under way at once from all pages: enough to fill the wait, few enough to leave the server to others."""
_pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="ui-ask")


def together(questions: Mapping[str, Callable[[], T]]) -> dict[str, T | ClientError]:
    """Ask all; a refused question is its error."""
    futures = {name: _pool.submit(_caught, question) for name, question in questions.items()}
    return {name: future.result() for name, future in futures.items()}


def _caught(question: Callable[[], T]) -> T | ClientError:
    try:
        return question()
    except ClientError as e:
        return e


def ranges(client: ObsClient, queries: Mapping[str, str], span: TimeRange) -> dict[str, QueryResult | ClientError]:
    """PromQL queries over a range."""
    return together({name: _range(client, query, span) for name, query in queries.items()})


def instants(client: ObsClient, queries: Mapping[str, str], time_s: float) -> dict[str, QueryResult | ClientError]:
    """PromQL queries at one moment."""
    return together({name: _instant(client, query, time_s) for name, query in queries.items()})


def _range(client: ObsClient, query: str, span: TimeRange) -> Callable[[], QueryResult]:
    return lambda: client.prometheus.query_range(query, span.start_s, span.end_s, span.step_s)


def _instant(client: ObsClient, query: str, time_s: float) -> Callable[[], QueryResult]:
    return lambda: client.prometheus.query(query, time_s)


def span_of(search: str | None, offset_s: int | None) -> TimeRange:
    """The range that a URL asks for, as of now."""
    return time_range(View.parse(search), time.time(), offset_s or 0)


def first_value(answer: QueryResult | ClientError | None) -> float | None:
    """The only value of an instant vector or scalar; None where there is none."""
    if not isinstance(answer, QueryResult) or not answer.result:
        return None
    pair: Any = answer.result if answer.kind == "scalar" else answer.result[0].get("value")
    return float(pair[1]) if pair else None


def vector(answer: QueryResult | ClientError) -> list[tuple[dict[str, str], float]]:
    """The elements of an instant vector."""
    if not isinstance(answer, QueryResult) or answer.kind != "vector":
        return []
    return [(element["metric"], float(element["value"][1])) for element in answer.result if element.get("value")]


def matrix(answer: QueryResult | ClientError) -> list[dict[str, Any]]:
    """The series of a range vector (those of plain samples)."""
    if not isinstance(answer, QueryResult) or answer.kind != "matrix":
        return []
    return [series for series in answer.result if series.get("values")]
