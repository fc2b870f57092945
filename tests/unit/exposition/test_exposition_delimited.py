"""The protobuf format: native histograms with their exemplars, classic ones beside them, and what is malformed."""

from __future__ import annotations

import pytest
from exposition_messages import delimited, exemplar, family, native_histogram
from protobuf_fields import field, signed

from obs.exposition import series_labels
from obs.exposition.delimited import Histograms, parse_delimited
from obs.exposition.text import ExpositionError

NATIVE = Histograms(native=True, classic_too=False)


def test_a_native_histogram_and_its_exemplars() -> None:
    page = parse_delimited(delimited(family("took", 4, native_histogram())), NATIVE)
    (row,) = page.rows
    assert dict(series_labels(row.series)) == {"__name__": "took", "path": "/"}
    assert row.value == 6 and row.native is not None
    assert row.native.columns == (0, 6.0, 12.5, 1e-128, 1.0, 0, [1.0, 3.0, 0.0, 1.0], 0, [], None, 0)
    assert [(e.labels, e.value, e.t_ms) for e in row.native.exemplars] == [
        ((("trace_id", "ab"),), 1.5, 1_700_000_000_000)
    ]
    assert page.families["took"].kind == "histogram"


def test_a_gauge_histogram_is_known_as_one() -> None:
    (row,) = parse_delimited(delimited(family("size", 5, native_histogram())), NATIVE).rows
    assert row.native is not None and row.native.columns[-1] == 3


def test_classic_buckets_stand_beside_native_ones_where_asked() -> None:
    body = delimited(family("took", 4, native_histogram()))
    both = parse_delimited(body, Histograms(native=True, classic_too=True)).rows
    classic = parse_delimited(body).rows
    assert [row.series for row in both[1:]] == [row.series for row in classic]
    assert [row.value for row in classic] == [2, 5, 6, 6, 12.5] and not any(row.native for row in classic)


def test_a_classic_histogram_is_never_taken_for_a_native_one() -> None:
    bucket = field(3, field(1, 2) + field(2, 1.0) + field(3, exemplar("cd", 0.5, 1)))
    classic = field(7, field(1, 2) + field(2, 1.0) + bucket)
    first, *_ = parse_delimited(delimited(family("took", 4, classic)), NATIVE).rows
    assert first.native is None and first.exemplar is not None and first.exemplar.t_ms == 1000


@pytest.mark.parametrize(
    "histogram",
    [
        field(12, signed(1, 0) + field(2, 3)) + signed(13, 1),  # more buckets than counts
        field(12, signed(1, 0) + field(2, 1)) + signed(13, 1) + signed(13, 1),  # fewer
        field(12, signed(1, 0) + field(2, 1)) + signed(13, 1) + signed(5, 9),  # no such schema
        field(12, signed(1, 2**31) + field(2, 1)) + signed(13, 1),  # an index out of reach
    ],
)
def test_a_histogram_that_does_not_fit_is_an_error(histogram: bytes) -> None:
    with pytest.raises(ExpositionError, match="malformed"):
        parse_delimited(delimited(family("took", 4, field(7, field(1, 1) + histogram))), NATIVE)


@pytest.mark.parametrize("cut", range(1, 60, 7))
def test_a_page_that_is_cut_off_is_an_error(cut: int) -> None:
    body = delimited(family("took", 4, native_histogram()))
    with pytest.raises(ExpositionError):
        parse_delimited(body[:-cut], NATIVE)
