"""Jaeger's query services over gRPC, v2 and v3: each method takes a message and gives messages, as bytes.

Traces are sent one after the other, in messages of many spans that stay below what clients take. Neither a service nor
times are required. Source: jaeger-idl, api_v2/query.proto, api_v3/query_service.proto.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.message import DecodeError

from obs.errors import NotFound, UserError
from obs.model.ports import Ask
from obs.tracestore import limits
from obs.tracestore.api_jaeger_v3 import DEFAULT_DEPTH
from obs.tracestore.grpc_spans import spans_v2, spans_v3
from obs.tracestore.ids import parse_trace_id
from obs.tracestore.jaeger_messages import V2, V3
from obs.tracestore.jaeger_shape import NO_ARCHIVE, NOT_FOUND, operation_kinds
from obs.tracestore.query import MAX_NS, TraceQuery
from obs.tracestore.store import TraceStore

S = 10**9


def services(store: TraceStore) -> Mapping[str, Mapping[str, Ask]]:
    """The methods of each service, by name."""
    return {
        "jaeger.api_v3.QueryService": {
            **_common(store, V3, "internal"),
            "GetTrace": lambda body: _trace(store, _read(V3["GetTrace"], body), spans_v3, parse_trace_id),
            "FindTraces": lambda body: _traces(store, _read(V3["FindTraces"], body).query, spans_v3),
            "FindTraceSummaries": lambda body: _summaries(store, _read(V3["FindTraces"], body).query),
        },
        "jaeger.api_v2.QueryService": {
            **_common(store, V2, ""),
            "GetTrace": lambda body: _trace(store, _read(V2["GetTrace"], body), spans_v2, _padded),
            "FindTraces": lambda body: _traces(store, _read(V2["FindTraces"], body).query, spans_v2),
            "ArchiveTrace": _archive,
        },
    }


def _read(message: Any, body: bytes) -> Any:
    """Raises: UserError."""
    try:
        return message.FromString(body)
    except DecodeError:
        raise UserError(f"cannot read the request: it is no {message.DESCRIPTOR.name} in protobuf") from None


def _common(store: TraceStore, messages: Mapping[str, Any], no_kind: str) -> Mapping[str, Ask]:
    """The methods that are alike in both versions."""

    def names(body: bytes) -> Iterator[bytes]:
        yield messages["Services"](services=store.services()).SerializeToString()

    def operations(body: bytes) -> Iterator[bytes]:
        asked = _read(messages["GetOperations"], body)
        if not asked.service:
            raise UserError("cannot list operations: 'service' is required; name one")
        found = operation_kinds(store, asked.service, no_kind)
        shown = [messages["Operation"](name=n, span_kind=k) for n, k in found if asked.span_kind in ("", k)]
        yield messages["Operations"](operations=shown).SerializeToString()

    def dependencies(body: bytes) -> Iterator[bytes]:
        asked = _read(messages["GetDependencies"], body)
        start_ns, end_ns = _range(asked, "start_time", "end_time")
        edges = store.dependencies(TraceQuery(start_ns=start_ns, end_ns=end_ns))
        links = [messages["Dependency"](parent=e.parent, child=e.child, call_count=e.calls) for e in edges]
        yield messages["Dependencies"](dependencies=links).SerializeToString()

    return {"GetServices": names, "GetOperations": operations, "GetDependencies": dependencies}


def _trace(store: TraceStore, asked: Any, written: Any, parse: Any) -> Iterator[bytes]:
    """One trace; the times are only hints."""
    found = store.by_id(parse(asked.trace_id))
    if found is None:
        raise NotFound(NOT_FOUND)
    yield from written(found, asked.raw_traces)


def _padded(trace_id: bytes) -> bytes:
    """A trace id of v2: 16 bytes, or fewer. Raises: UserError."""
    return parse_trace_id(trace_id.hex())


def _archive(body: bytes) -> Iterator[bytes]:
    """There is no second storage to copy a trace to."""
    raise UserError(NO_ARCHIVE)


def _traces(store: TraceStore, asked: Any, written: Any) -> Iterator[bytes]:
    """The traces of a search, one in memory at a time."""
    for summary in store.search(_query(asked)).traces:
        found = store.by_id(summary.trace_id)
        if found is not None:  # retention may have taken it
            yield from written(found, asked.raw_traces)


def _summaries(store: TraceStore, asked: Any) -> Iterator[bytes]:
    found = store.search(_query(asked)).traces
    counts = store.trace_counts([t.trace_id for t in found])
    lines = []
    for t in found:
        if (counted := counts.get(t.trace_id)) is None:
            continue
        by_service = [
            V3["ServiceSummary"](name=s.service, span_count=s.spans, error_span_count=s.errors)
            for s in counted.services
        ]
        lines.append(V3["TraceSummary"](
            trace_id=t.trace_id.hex(), root_service_name=t.root_service, root_operation_name=t.root_name,
            min_start_time_unix_nano=max(t.start_ns, 0), max_end_time_unix_nano=max(t.start_ns + t.duration_ns, 0),
            span_count=t.spans, error_span_count=t.errors, orphan_span_count=counted.orphans, services=by_service,
        ))  # fmt: skip
    for first in range(0, len(lines), limits.SUMMARIES_PER_MESSAGE):
        yield V3["Summaries"](summaries=lines[first : first + limits.SUMMARIES_PER_MESSAGE]).SerializeToString()


def _query(asked: Any) -> TraceQuery:
    """A search. Raises: UserError."""
    if asked.filter:
        raise UserError("cannot search by 'filter': structured filters are not known here; use the other fields")
    start_ns, end_ns = _range(asked, "start_time_min", "start_time_max")
    if asked.search_depth < 0:
        raise UserError(f"cannot search with search_depth {asked.search_depth}: it is below zero; leave it out")
    return TraceQuery(
        service=asked.service_name or None, operation=asked.operation_name or None,
        tags={tag.key: tag.value for tag in asked.tags},
        min_duration_ns=_ns(asked.duration_min) or None, max_duration_ns=_ns(asked.duration_max) or None,
        start_ns=start_ns, end_ns=end_ns, limit=min(asked.search_depth or DEFAULT_DEPTH, limits.MAX_LIMIT),
    )  # fmt: skip


def _ns(moment: Any) -> int:
    """A Timestamp or a Duration."""
    return max(min(moment.seconds * S + moment.nanos, MAX_NS), -MAX_NS)


def _range(asked: Any, start: str, end: str) -> tuple[int, int]:
    """A range in ns; a bound that is not given, or is Go's zero time, is none. Raises: UserError."""
    start_ns = _ns(getattr(asked, start)) if asked.HasField(start) else -MAX_NS
    end_ns = _ns(getattr(asked, end)) if asked.HasField(end) else MAX_NS
    end_ns = MAX_NS if end_ns == -MAX_NS else end_ns
    if start_ns > end_ns:
        raise UserError(f"cannot search from {start_ns} to {end_ns} ns: {end} is before {start}")
    return start_ns, end_ns
