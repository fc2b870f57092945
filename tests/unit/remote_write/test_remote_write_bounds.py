"""Bodies of countless tiny parts: refused before each part is a value in Python."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable

import pytest
from protobuf_fields import field

from obs.errors import TooLarge, UserError
from obs.model.batch import Decoded
from obs.otlp.series_cache import SeriesCache
from obs.remote_write import building, fast, slow, wire
from obs.remote_write.messages import histogram
from obs.remote_write.wire import MAX_PACKED_BYTES

Decode = Callable[[bytes, SeriesCache], Decoded]
FEW = 10_000
MANY = FEW + 1


SERIES = field(1, field(1, b"__name__") + field(2, b"many"))
NUMBERS = bytes(MAX_PACKED_BYTES + 1)


@pytest.mark.parametrize(
    ("decode", "body", "error", "said"),
    [
        (slow.decode_v1, field(1, b"") * MANY, TooLarge, "parts"),
        (slow.decode_v1, field(1, SERIES + field(2, b"") * MANY), TooLarge, "parts"),
        (slow.decode_v1, field(1, SERIES + field(2, b"") * (MANY // 10)) * 11, TooLarge, "parts"),
        (fast.decode_v1, field(1, b"") * MANY, TooLarge, "parts"),
        (slow.decode_v1, field(1, SERIES + field(4, field(12, NUMBERS))), UserError, "numbers stand in one field"),
        (slow.decode_v2, field(4, b"") * MANY, TooLarge, "parts"),
        (slow.decode_v2, field(4, b"") + field(5, b"") * MANY, TooLarge, "parts"),
        (slow.decode_v2, field(4, b"") + field(5, field(1, NUMBERS)), UserError, "numbers stand in one field"),
    ],
    ids=["series", "samples", "samples of some", "kernels", "buckets", "symbols", "series 2.0", "references"],
)
def test_refused(
    monkeypatch: pytest.MonkeyPatch, decode: Decode, body: bytes, error: type[UserError], said: str
) -> None:
    for module in (building, fast, wire):
        monkeypatch.setattr(module, "MAX_ITEMS", FEW)
    with pytest.raises(error, match=said):
        decode(body, SeriesCache())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (field(4, b"x"), "first symbol must be empty"),
        (field(5, field(1, b"\x00\x01")), "not there"),
        (field(4, b"") + field(5, field(1, b"\x00")), "not there"),
        (field(4, b"") + field(5, field(5, b"\x18\x07")), "metadata refers"),
    ],
    ids=["no empty symbol", "no symbols", "half a pair", "metadata"],
)
def test_references_to_nothing(body: bytes, said: str) -> None:
    with pytest.raises(UserError, match=said):
        slow.decode_v2(body, SeriesCache())


def custom(bounds: list[float], offset: int, spans: int = 11, counts: int = 12) -> bytes:
    """A histogram of three buckets with custom bounds."""
    span = field(spans, b"\x08" + bytes([offset]) + b"\x10\x03")
    packed = bytes([0x82, 1, 8 * len(bounds)]) + struct.pack(f"<{len(bounds)}d", *bounds)  # field 16
    return b"\x20\x69" + span + field(counts, b"\x02\x02\x02") + packed


@pytest.mark.parametrize(
    ("data", "kept"),
    [
        (custom([1.0, 2.0], 0), True),
        (custom([1.0, 2.0, 3.0], 2), True),
        (custom([1.0, 2.0, 3.0, 4.0], 1), False),
        (custom([1.0], 0), False),
        (custom([], 0), False),
        (custom([3.0, 1.0, 2.0], 0), False),
        (custom([math.nan, 1.0, 2.0], 0), False),
        (custom([1.0, 2.0], 0, spans=8, counts=9), False),
    ],
    ids=["to infinity", "later", "before the first", "past the last", "none", "unsorted", "no number", "negative"],
)
def test_buckets_of_custom_bounds(data: bytes, kept: bool) -> None:
    assert (histogram(data).columns is not None) is kept
