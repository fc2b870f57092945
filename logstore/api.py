"""Loki's HTTP API over the store: queries, labels, series, statistics, volumes, tail. Push is the collector's.

Endpoints are plain functions: the framework runs them in threads. Errors are text/plain, as Loki's are.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import PlainTextResponse, Response

from obs.errors import ObsError, QueryError
from obs.logstore import detected, limits, parquet_answers, responses
from obs.logstore.api_delete import add_deletes
from obs.logstore.context import Wanted, lines_around
from obs.logstore.delete_requests import DeleteRequests
from obs.logstore.detected import DetectedField
from obs.logstore.logql import LogQL
from obs.logstore.logql.matrix import Steps, make_steps
from obs.logstore.logql.parse import parse
from obs.logstore.logql.query import Entries
from obs.logstore.logql.spaced import spaced_records
from obs.logstore.logql.syntax import LogQuery
from obs.logstore.names import DETECTED_LEVEL, LEVELS
from obs.logstore.params import NS, Params, duration, read_params
from obs.logstore.patterns.query import Pattern, Patterns
from obs.logstore.store import LogStore
from obs.logstore.tail import add_tail
from obs.logstore.volume import Volume, index_stats, volumes
from obs.model.labels import Matcher

PREFIX = "/loki/api/v1"
CONTEXT_LINES = 10
LABELS_SINCE_NS = 6 * 3600 * NS
Given = Annotated[Params, Depends(read_params)]
BOTH = ["GET", "POST"]


class LokiRoute(APIRoute):
    """A route whose deliberate errors are plain text."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler with errors answered."""
        handle = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handle(request)
            except ObsError as e:
                return PlainTextResponse(str(e), int(getattr(e, "http_status", 500)))

        return answered


def router(store: LogStore, logql: LogQL, deletes: DeleteRequests) -> APIRouter:
    """All routes."""
    api = APIRouter(prefix="/loki", route_class=LokiRoute, tags=["logs"])
    _add_queries(api, store, logql)
    _add_labels(api, store, logql)
    _add_index(api, store, logql)
    _add_patterns(api, Patterns(store))
    _add_detected(api, store, logql)
    _add_status(api)
    add_tail(api, store, logql)
    add_deletes(api, deletes)
    return api


def _add_queries(api: APIRouter, store: LogStore, logql: LogQL) -> None:
    @api.api_route("/api/v1/query_range", methods=BOTH, response_class=Response)
    def query_range(request: Request, given: Given) -> Response:
        """Records, or a metric query at every step."""
        start_ns, end_ns = given.span()
        query = given.text("query")
        if logql.is_records(query):
            return _streams(request, _records(logql, query, (start_ns, end_ns), given))
        found, steps, stats = logql.range(query, start_ns, end_ns, given.step_ns(start_ns, end_ns))
        if parquet_answers.wanted(request):
            return parquet_answers.matrix(found, steps)
        return responses.matrix(found, steps, stats)

    @api.api_route("/api/v1/query", methods=BOTH, response_class=Response)
    def query(request: Request, given: Given) -> Response:
        """A metric query at one time; of a log query the lines of the hour before it."""
        query = given.text("query")
        at_ns = given.time_ns("time", given.now_ns)
        if logql.is_records(query):
            found = logql.records(query, at_ns - 3600 * NS, at_ns + 1, given.limit(), given.newest_first())
            return _streams(request, found)
        found_at, steps, stats = logql.range(query, at_ns, at_ns, 1)
        if parquet_answers.wanted(request):
            return parquet_answers.matrix(found_at, steps)
        return responses.vector(found_at, at_ns, stats)

    @api.api_route("/api/v1/context", methods=BOTH, response_class=Response)
    def context(given: Given) -> Response:
        """The lines around a line in its stream, oldest first; `position` says which it is."""
        wanted = Wanted(given.text("query"), given.time_ns("time", given.now_ns), next(iter(given.all("line")), None))
        found = lines_around(store, logql, wanted, *(given.whole(name, CONTEXT_LINES) for name in ("before", "after")))
        lines = responses.stream_list(found.lines, categorize=True)
        return responses.success({"resultType": "streams", "result": lines, "position": found.position})

    @api.api_route("/api/v1/format_query", methods=BOTH, response_class=Response)
    def format_query(given: Given) -> Response:
        """A query in canonical form."""
        return responses.success(str(parse(given.text("query"))))

    @api.api_route("/api/v1/explain", methods=BOTH, response_class=Response)
    def explain(given: Given) -> Response:
        """A query's plan."""
        return responses.success(logql.explain(given.text("query")))


def _records(logql: LogQL, query: str, span: tuple[int, int], given: Params) -> Entries:
    """The records a request asks for, or of them some that are `interval` apart."""
    interval = given.text("interval", "")
    apart_ns = duration("interval", interval) if interval else 0
    if apart_ns <= 0:
        return logql.records(query, *span, given.limit(), given.newest_first(), given.text("after", ""))
    return spaced_records(logql, query, span, given.limit(), given.newest_first(), apart_ns)


def _streams(request: Request, found: Entries) -> Response:
    if parquet_answers.wanted(request):
        return parquet_answers.streams(found.entries)
    categorize = responses.CATEGORIZE in request.headers.get(responses.FLAGS_HEADER, "")
    return responses.streams(found, categorize)


def _add_labels(api: APIRouter, store: LogStore, logql: LogQL) -> None:
    @api.api_route("/api/v1/labels", methods=BOTH, response_class=Response)
    @api.api_route("/api/v1/label", methods=BOTH, response_class=Response, include_in_schema=False)
    def labels(given: Given) -> Response:
        """Names of the streams' labels."""
        found = store.stream_labels(_matchers(given.text("query", "")), *given.span(LABELS_SINCE_NS))
        return responses.success(sorted({name for stream in found for name, _ in stream}))

    @api.api_route("/api/v1/label/{name}/values", methods=BOTH, response_class=Response)
    def label_values(name: str, given: Given) -> Response:
        """Values of a label; one that is no stream's label is looked up in the records."""
        start_ns, end_ns = given.span(LABELS_SINCE_NS)
        query = given.text("query", "") or "{}"
        if name == DETECTED_LEVEL:
            return responses.success(list(LEVELS))
        if name in store.streams.label_names:
            found = store.stream_labels(_matchers(query), start_ns, end_ns)
            values = {value for stream in found for label, value in stream if label == name}
        else:
            found = store.stream_labels(_matchers("{}"), start_ns, end_ns)
            values = {value for stream in found for label, value in stream if label == name}
            if not values or query.strip() != "{}":
                values = logql.label_values(query, name, start_ns, end_ns)
        return responses.success(sorted(values)[: limits.MAX_LABEL_VALUES])

    @api.api_route("/api/v1/series", methods=BOTH, response_class=Response)
    def series(given: Given) -> Response:
        """Streams that some selector selects."""
        span = given.span(LABELS_SINCE_NS)
        selectors = given.all("match[]", "match") or ["{}"]
        found = {stream for text in selectors for stream in store.stream_labels(_matchers(text), *span)}
        return responses.success([dict(stream) for stream in sorted(found)])


def _matchers(text: str) -> tuple[Matcher, ...]:
    """The matchers of a selector. Raises: QueryError."""
    query = parse(text) if text.strip() else LogQuery((), ())
    if not isinstance(query, LogQuery):
        raise QueryError(f'cannot select streams by {text!r}: it computes numbers; give a selector like {{job="a"}}')
    return query.matchers


def _add_index(api: APIRouter, store: LogStore, logql: LogQL) -> None:
    @api.api_route("/api/v1/index/stats", methods=BOTH, response_class=Response)
    def stats(given: Given) -> Response:
        """How much a selector selects, by what is known without reading."""
        return responses.LokiJson(index_stats(store, _matchers(given.text("query", "{}")), *given.span()))

    @api.api_route("/api/v1/index/volume", methods=BOTH, response_class=Response)
    def volume(given: Given) -> Response:
        """Bytes by labels over the whole time."""
        start_ns, end_ns = given.span()
        found, _, read = volumes(logql, _volume_of(given), Steps(end_ns, 1, 1), max(end_ns - start_ns, 1))
        return responses.vector(found, end_ns, read)

    @api.api_route("/api/v1/index/volume_range", methods=BOTH, response_class=Response)
    def volume_range(given: Given) -> Response:
        """Bytes by labels at every step."""
        start_ns, end_ns = given.span()
        step_ns = given.step_ns(start_ns, end_ns)
        return responses.matrix(*volumes(logql, _volume_of(given), make_steps(start_ns, end_ns, step_ns), step_ns))


def _volume_of(given: Params) -> Volume:
    """What volume a request asks for. Raises: QueryError."""
    by = given.text("aggregateBy", "series")
    if by not in ("series", "labels"):
        raise QueryError(f"cannot aggregate volumes by {by!r}: known values are series, labels")
    targets = tuple(name.strip() for name in given.text("targetLabels", "").split(",") if name.strip())
    return Volume(given.text("query"), targets, by == "labels", given.limit())


def _add_patterns(api: APIRouter, patterns: Patterns) -> None:
    @api.api_route("/api/v1/patterns", methods=BOTH, response_class=Response)
    def found(given: Given) -> Response:
        """Templates of lines with their counts at every step; `since`: only those that were not there before it."""
        start_ns, end_ns = given.span()
        step_ns = given.step_ns(start_ns, end_ns)
        all_ = patterns.find(given.text("query"), start_ns, end_ns, step_ns)
        since_ns = given.time_ns("since", start_ns)
        new = [p for p in all_ if int(p.times_ns[0]) + step_ns > since_ns]
        return responses.success([_pattern(p) for p in new[: given.limit()]])


def _pattern(found: Pattern) -> dict[str, Any]:
    samples = zip((found.times_ns // NS).tolist(), found.lines.tolist(), strict=True)
    return {"pattern": found.text, "samples": [list(sample) for sample in samples]}


def _add_detected(api: APIRouter, store: LogStore, logql: LogQL) -> None:
    def fields(given: Params) -> list[DetectedField]:
        lines = given.limit("line_limit", detected.SAMPLE_LINES)
        return detected.detected_fields(logql, given.text("query"), *given.span(), lines)

    @api.api_route("/api/v1/detected_fields", methods=BOTH, response_class=Response)
    def detected_fields(given: Given) -> Response:
        """Fields of a sample of a query's records: attributes, and what a parser would find in the lines."""
        limit = given.limit(default=detected.FIELDS)
        return responses.LokiJson({"fields": [_field(f) for f in fields(given)[:limit]], "limit": limit})

    @api.api_route("/api/v1/detected_field/{name}/values", methods=BOTH, response_class=Response)
    def detected_values(name: str, given: Given) -> Response:
        """The values of one such field in the sample."""
        limit = given.limit(default=detected.FIELDS)
        values = sorted({value for f in fields(given) if f.label == name for value in f.values})
        return responses.LokiJson({"values": values[:limit], "limit": limit})

    @api.api_route("/api/v1/detected_labels", methods=BOTH, response_class=Response)
    def detected_labels(given: Given) -> Response:
        """Labels of the streams that are worth a choice, with how many values each has."""
        streams = store.stream_labels(_matchers(given.text("query", "")), *given.span())
        found = detected.detected_labels(streams)
        return responses.LokiJson({"detectedLabels": [{"label": n, "cardinality": c} for n, c in found.items()]})


def _field(found: DetectedField) -> dict[str, Any]:
    shown: dict[str, Any] = {"label": found.label, "type": found.type, "cardinality": len(found.values)}
    shown["parsers"] = [found.parser] if found.parser else None
    return {**shown, "jsonPath": list(found.path)} if found.path else shown


def _add_status(api: APIRouter) -> None:
    @api.get("/ready", response_class=Response)
    def ready() -> Response:
        """Whether queries are answered."""
        return PlainTextResponse("ready\n")

    @api.get("/api/v1/status/buildinfo", response_class=Response)
    def buildinfo() -> Response:
        """What Grafana asks first; the version is that of the API we speak."""
        return responses.LokiJson({"version": "3.5.0", "revision": "obs", "branch": "main", "goVersion": ""})
