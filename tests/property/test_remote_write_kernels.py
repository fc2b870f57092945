"""Remote write by kernels is what plain Python makes of the same bytes, mutated ones too."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from protobuf_fields import field

from obs import warm
from obs.errors import ObsError
from obs.otlp.series_cache import SeriesCache
from obs.remote_write import fast, slow


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm.load_now("obs.remote_write.kernels")


def label(name: bytes, value: bytes) -> bytes:
    return field(1, name) + field(2, value)


def message(*parts: bytes) -> bytes:
    return b"".join(parts)


names = st.sampled_from([b"__name__", b"job", b"instance", b"a", "é".encode(), b"", b"\xff"])
texts = st.sampled_from([b"", b"up", b"x" * 40, "ü".encode(), b"\xc3", b"1"])
labels = st.builds(label, names, texts)
times = st.integers(-(2**63), 2**63 - 1)
samples = st.builds(lambda v, t: message(field(1, v), field(2, t)), st.floats(), times)
exemplars = st.builds(
    lambda ls, v, t: message(*(field(1, x) for x in ls), field(2, v), field(3, t)),
    st.lists(labels, max_size=2), st.floats(allow_nan=False), times,
)  # fmt: skip
spans = st.builds(lambda o, n: message(field(1, o), field(2, n)), st.integers(0, 20), st.integers(0, 3))
histograms = st.builds(
    lambda count, schema, sides, t: message(field(1, count), field(4, schema), *sides, field(15, t)),
    st.integers(0, 100), st.integers(0, 20),
    st.lists(st.builds(lambda s, d: message(field(11, s), field(12, d)), spans, st.integers(0, 9)), max_size=3), times,
)  # fmt: skip
series = st.builds(
    lambda ls, ss, es, hs: message(
        *(field(1, x) for x in ls), *(field(2, x) for x in ss), *(field(3, x) for x in es), *(field(4, x) for x in hs)
    ),
    st.lists(labels, max_size=4), st.lists(samples, max_size=4), st.lists(exemplars, max_size=2),
    st.lists(histograms, max_size=2),
)  # fmt: skip
metadata = st.builds(lambda n, k: message(field(1, k), field(2, n)), names, st.integers(0, 9))
bodies = st.builds(
    lambda ss, ms: message(*(field(1, s) for s in ss), *(field(3, m) for m in ms)),
    st.lists(series, max_size=4), st.lists(metadata, max_size=2),
)  # fmt: skip


def outcome(decode, body: bytes):
    """Everything a body comes to, comparable: rows by table in any order, what was refused, or the error."""
    try:
        decoded = decode(body, SeriesCache())
    except ObsError as e:
        return type(e)
    rows = {name: sorted(map(repr, table.to_pylist())) for name, table in decoded.batch.tables.items()}
    return rows, dict(decoded.rejected)


@given(bodies)
def test_bodies(body: bytes) -> None:
    assert outcome(fast.decode_v1, body) == outcome(slow.decode_v1, body)


@given(bodies, st.data())
def test_mutated_bodies(body: bytes, data: st.DataObject) -> None:
    changed = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    changed = changed[: data.draw(st.integers(0, len(changed)))]
    assert outcome(fast.decode_v1, bytes(changed)) == outcome(slow.decode_v1, bytes(changed))


def test_a_warm_cache_sends_no_labels_again() -> None:
    one = message(field(1, label(b"__name__", b"up")), field(2, message(field(1, 1.0), field(2, 5))))
    cache = SeriesCache()
    first = fast.decode_v1(field(1, one), cache)
    assert set(first.batch.tables) == {"samples", "series"}
    cache.commit(first)
    again = fast.decode_v1(field(1, one) * 3, cache)
    assert set(again.batch.tables) == {"samples"}
    assert again.batch.tables["samples"].to_pylist() == first.batch.tables["samples"].to_pylist() * 3


@pytest.mark.parametrize("decode", [fast.decode_v1, slow.decode_v1])
def test_a_body_of_nothing_but_empty_series(decode) -> None:
    decoded = decode(b"\x0a\x00" * 5000, SeriesCache())
    assert decoded.batch.items == decoded.rejected_items == 0
