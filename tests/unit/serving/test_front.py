"""The front's quick paths: who is answered without the app, and that the answer is the same with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.testclient import TestClient

from obs.serving import faults
from obs.serving.front import Front
from obs.serving.own_traces import Draw, tracer_provider
from obs.tsdb import api_query
from obs.tsdb.promql import PromQL
from obs.tsdb.promql.scripts.memory import MemorySource

QUERIES: Sequence[tuple[str, dict[str, str]]] = [
    ("/api/v1/query", {"query": "vector(1)", "time": "60"}),
    ("/api/v1/query", {"query": "1 +", "time": "60"}),
    ("/api/v1/query", {"query": "1", "time": "soon"}),
    ("/api/v1/query_range", {"query": "time()", "start": "0", "end": "60", "step": "15"}),
    ("/api/v1/query_range", {"query": "time()", "start": "0", "end": "60", "step": "0"}),
]


async def quick_is_here(request: Request) -> Response:
    """An answer that tells who gave it."""
    return PlainTextResponse("quick")


async def app_is_here(scope: object, receive: object, send: object) -> None:
    """The same for the app."""
    await PlainTextResponse("app")(scope, receive, send)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "headers", "drawn", "who"),
    [
        ("GET", {}, False, "quick"),
        ("POST", {}, False, "quick"),
        ("OPTIONS", {}, False, "app"),
        ("PUT", {}, False, "app"),
        ("GET", {"Origin": "http://a"}, False, "app"),
        ("GET", {"traceparent": "00-1"}, False, "app"),
        ("GET", {}, True, "app"),
    ],
)
def test_who_answers(method: str, headers: dict[str, str], drawn: bool, who: str) -> None:
    front = Front([], app_is_here, quick={"/q": quick_is_here}, draws=lambda: drawn)
    client = TestClient(front)
    assert client.request(method, "/q", headers=headers).text == who
    assert client.request(method, "/q/", headers=headers).text == "app"


@pytest.fixture
def clients() -> Iterator[tuple[TestClient, TestClient]]:
    """With the quick paths, and without."""
    promql = PromQL(MemorySource())
    app = FastAPI()
    faults.install(app)
    app.include_router(api_query.router(promql))
    yield TestClient(Front([], app, quick=api_query.handlers(promql))), TestClient(Front([], app))


@pytest.mark.parametrize(("path", "parameters"), QUERIES)
def test_both_ways_give_one_answer(
    clients: tuple[TestClient, TestClient], path: str, parameters: dict[str, str]
) -> None:
    quick, usual = clients
    for method in ("GET", "POST"):
        kind = "params" if method == "GET" else "data"
        given, expected = (c.request(method, path, **{kind: parameters}) for c in (quick, usual))  # type: ignore[arg-type]
        assert (given.status_code, given.content) == (expected.status_code, expected.content)
        assert dict(given.headers) == dict(expected.headers)


def test_too_large_a_form_is_refused_both_ways(clients: tuple[TestClient, TestClient]) -> None:
    answers = [c.post("/api/v1/query", content=b"query=" + b"1" * (17 << 20)) for c in clients]
    assert answers[0].status_code == answers[1].status_code == 413
    assert answers[0].json() == answers[1].json()


def test_a_bug_is_answered_without_a_traceback() -> None:
    async def fails(request: Request) -> Response:
        raise ZeroDivisionError("secret")

    answer = TestClient(Front([], app_is_here, quick={"/q": fails})).get("/q")
    assert answer.status_code == 500
    assert "secret" not in answer.text


@pytest.mark.parametrize(("ratio", "sampled"), [(0.0, False), (1.0, True)])
def test_what_was_drawn_is_traced(ratio: float, sampled: bool) -> None:
    from contextvars import copy_context

    def trace() -> bool:
        assert Draw(ratio)() is sampled
        provider: TracerProvider = tracer_provider(None, "here", 0.0)  # type: ignore[arg-type]
        span = provider.get_tracer("test").start_span("drawn")
        return span.is_recording()

    assert copy_context().run(trace) is sampled
