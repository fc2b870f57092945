"""The kernels against the plain path: whatever bytes come, both give the same tables and refusals."""

from __future__ import annotations

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, LogsData, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status, TracesData

from obs import warm
from obs.errors import UserError
from obs.otlp import KERNELS, slow, warm_bodies

NOW = 1_700_000_000_000_000_000
check = examples(60)

texts = st.text(max_size=12) | st.sampled_from(["", "a", 'quote " \\ \n\x01', "naïve ✓ 🎉", "x" * 40])
keys = st.sampled_from(["a", "b", "http.route", "", "long.key.of.more.than.sixteen.bytes", "ü"]) | st.text(max_size=6)
int64s = st.integers(-(2**63), 2**63 - 1) | st.integers(-5, 300)
uint64s = st.integers(0, 2**64 - 1) | st.integers(0, 2**63 - 1) | st.just(0)
uint32s = st.integers(0, 2**32 - 1)
doubles = st.floats() | st.sampled_from([0.0, -0.0, 1.0, 0.1, 1e15, 1e16, 123456.789, 1e-4, 1e-5, 5e-324])
enums = st.integers(-(2**31), 2**31 - 1) | st.integers(0, 25)


def ids(size: int) -> st.SearchStrategy[bytes]:
    good = st.binary(min_size=size, max_size=size)
    return good | good | good | st.just(bytes(size)) | st.binary(max_size=size + 1)


scalars = (
    st.builds(AnyValue, string_value=texts)
    | st.builds(AnyValue, int_value=int64s)
    | st.builds(AnyValue, double_value=doubles)
    | st.builds(AnyValue, bool_value=st.booleans())
    | st.builds(AnyValue, bytes_value=st.binary(max_size=9))
    | st.builds(AnyValue)
)


def containers(inner: st.SearchStrategy[AnyValue]) -> st.SearchStrategy[AnyValue]:
    pairs = st.builds(KeyValue, key=keys, value=inner)
    return st.builds(AnyValue, array_value=st.builds(ArrayValue, values=st.lists(inner, max_size=4))) | st.builds(
        AnyValue, kvlist_value=st.builds(KeyValueList, values=st.lists(pairs, max_size=4))
    )


any_values = scalars | st.recursive(scalars, containers, max_leaves=8)
attributes = st.lists(st.builds(KeyValue, key=keys, value=any_values) | st.builds(KeyValue, key=keys), max_size=6)
scopes = st.builds(InstrumentationScope, name=texts, version=texts, attributes=attributes)
resources = st.builds(Resource, attributes=attributes)
few = 3

spans = st.builds(
    Span,
    trace_id=ids(16),
    span_id=ids(8),
    parent_span_id=st.just(b"") | ids(8),
    trace_state=texts,
    flags=uint32s,
    name=texts,
    kind=enums,
    start_time_unix_nano=uint64s,
    end_time_unix_nano=uint64s,
    attributes=attributes,
    dropped_attributes_count=uint32s,
    dropped_events_count=uint32s,
    dropped_links_count=uint32s,
    status=st.builds(Status, message=texts, code=enums),
    events=st.lists(
        st.builds(
            Span.Event,
            name=texts,
            attributes=attributes,
            time_unix_nano=st.integers(0, 2**63 + 5),
            dropped_attributes_count=uint32s,
        ),
        max_size=few,
    ),
    links=st.lists(
        st.builds(
            Span.Link,
            trace_id=ids(16),
            span_id=ids(8),
            trace_state=texts,
            attributes=attributes,
            dropped_attributes_count=uint32s,
            flags=uint32s,
        ),
        max_size=few,
    ),
)
records = st.builds(
    LogRecord,
    time_unix_nano=uint64s,
    observed_time_unix_nano=uint64s,
    severity_number=enums,
    severity_text=texts,
    body=any_values | st.none(),
    attributes=attributes,
    dropped_attributes_count=uint32s,
    flags=uint32s,
    trace_id=ids(16),
    span_id=ids(8),
    event_name=texts,
)


def groups(data, group, scoped, items_name, scoped_name, item):
    inner = st.builds(
        scoped,
        scope=scopes | st.none(),
        schema_url=texts,
        **{items_name: st.lists(item, max_size=few)},
    )
    outer = st.builds(group, resource=resources | st.none(), **{scoped_name: st.lists(inner, max_size=few)})
    return outer.flatmap(lambda first: st.lists(outer, max_size=2).map(lambda rest: data([first, *rest])))


traces = groups(lambda g: TracesData(resource_spans=g), ResourceSpans, ScopeSpans, "spans", "scope_spans", spans)
logs = groups(lambda g: LogsData(resource_logs=g), ResourceLogs, ScopeLogs, "log_records", "scope_logs", records)


@pytest.fixture(scope="module")
def fast():
    warm.load_now(KERNELS)
    from obs.otlp import fast

    return fast


def outcome(decode, *arguments):
    """(schemas, rows, refusals), or None where the body is refused whole."""
    try:
        decoded = decode(*arguments)
    except UserError:
        return None
    tables = decoded.batch.tables
    return (
        {name: t.schema for name, t in tables.items()},
        repr({name: t.to_pylist() for name, t in tables.items()}),
        dict(decoded.rejected),
    )


def same(fast, signal: str, body: bytes, *, never_rare: bool = False) -> None:
    now = () if signal == "traces" else (NOW,)
    expected = outcome(getattr(slow, f"decode_{signal}"), body, *now)
    from obs.otlp.work import Rare

    try:
        got = outcome(getattr(fast, f"decode_{signal}"), body, *now)
    except Rare:
        assert expected is None or not never_rare
        return
    assert got == expected
    if got:
        for table in getattr(fast, f"decode_{signal}")(body, *now).batch.tables.values():
            table.validate(full=True)


@check
@given(message=traces)
def test_traces(fast, message):
    same(fast, "traces", message.SerializeToString(), never_rare=True)


@check
@given(message=logs)
def test_logs(fast, message):
    same(fast, "logs", message.SerializeToString(), never_rare=True)


@check
@given(pieces=st.lists(traces, min_size=2, max_size=3))
def test_concatenated_bodies_are_one_body(fast, pieces):
    same(fast, "traces", b"".join(p.SerializeToString() for p in pieces), never_rare=True)


edits = st.lists(
    st.tuples(
        st.sampled_from(["cut", "set", "insert", "drop", "repeat"]), st.floats(0, 1), st.binary(min_size=1, max_size=4)
    ),
    min_size=1,
    max_size=3,
)  # fmt: skip


def edited(body: bytes, steps) -> bytes:
    for kind, where, piece in steps:
        at = int(where * len(body))
        if kind == "cut":
            body = body[:at]
        elif kind == "set":
            body = body[:at] + piece + body[at + len(piece) :]
        elif kind == "insert":
            body = body[:at] + piece + body[at:]
        elif kind == "drop":
            body = body[:at] + body[at + 1 :]
        else:
            body = body + body[at:]
    return body


@check
@given(message=traces, steps=edits)
def test_damaged_traces(fast, message, steps):
    same(fast, "traces", edited(message.SerializeToString(), steps))


@check
@given(message=logs, steps=edits)
def test_damaged_logs(fast, message, steps):
    same(fast, "logs", edited(message.SerializeToString(), steps))


@check
@given(body=st.binary(max_size=60))
def test_random_bytes(fast, body):
    same(fast, "traces", body)
    same(fast, "logs", body)


def wire(field: int, payload: bytes) -> bytes:
    """A length-delimited field of less than 128 bytes."""
    return bytes([field << 3 | 2, len(payload)]) + payload


unknown = st.sampled_from(
    [b"\xf8\x07\x05", b"\xf9\x0712345678", b"\xfa\x07\x03abc", b"\xfd\x071234", b"\xfb\x07\xfc\x07"]
)


@check
@given(order=st.permutations(range(6)), extra=unknown, twice=st.integers(0, 5))
def test_odd_order_unknown_fields_and_repeated_submessages(fast, order, extra, twice):
    name = KeyValue(key="k", value=AnyValue(int_value=1)).SerializeToString()
    fields = [
        wire(1, b"0123456789abcdef"),
        wire(2, b"01234567"),
        wire(15, Status(message="m").SerializeToString()),
        wire(15, Status(code=2).SerializeToString()),
        wire(9, name + extra + wire(2, AnyValue(int_value=3).SerializeToString())),
        wire(11, Span.Event(name="e").SerializeToString() + extra),
    ]
    span = b"".join(fields[i] + extra for i in order) + fields[twice]
    scope = wire(1, InstrumentationScope(name="s").SerializeToString())
    resource = wire(1, Resource(attributes=[KeyValue(key="r", value=AnyValue(string_value="v"))]).SerializeToString())
    for body in (wire(2, span) + scope, scope + wire(2, span) + scope, extra + wire(2, span)):
        if len(body) < 120:
            same(fast, "traces", wire(1, wire(2, body) + resource))
            same(fast, "traces", wire(1, resource + wire(2, body) + resource))


def test_warm_bodies_are_what_they_say(fast):
    same(fast, "traces", warm_bodies.traces_body(), never_rare=True)
    same(fast, "logs", warm_bodies.logs_body(), never_rare=True)


@pytest.mark.parametrize("count", [511, 512, 513, 1200])
def test_more_attributes_than_columns(fast, count):
    many = [KeyValue(key=f"k{i}", value=AnyValue(int_value=i)) for i in range(count)]
    span = Span(trace_id=b"0123456789abcdef", span_id=b"01234567", attributes=many)
    body = TracesData(resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[span] * 3)])]).SerializeToString()
    same(fast, "traces", body, never_rare=count <= 512)
    table = slow.decode_traces(body).batch.tables["spans"]
    assert ("attr_overflow" in table.schema.names) == (count > 512)


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_a_refused_item_that_is_malformed_deep_inside(fast, signal):
    twice = wire(6, 2 * wire(1, KeyValue(key="k").SerializeToString()) + b"\x0a\x7f")
    attribute = wire(1, b"a") + wire(2, twice)
    late = b"\x09" + b"\xff" * 8
    item = wire(9, attribute) if signal == "traces" else late + wire(6, attribute)
    same(fast, signal, wire(1, wire(2, wire(2, item))))


def test_long_texts_need_the_roomy_arrays(fast):
    control = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="\x01" * 5000)]))
    record = LogRecord(body=control, attributes=[KeyValue(key="", value=AnyValue())] * 900)
    body = LogsData(resource_logs=[ResourceLogs(scope_logs=[ScopeLogs(log_records=[record] * 5)])]).SerializeToString()
    same(fast, "logs", body, never_rare=True)
