"""ReadRequest: the bytes of a request → its queries and the encodings that its sender reads. Pure.

Source: prometheus/prompb remote.proto and types.proto; docstrings give the field numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import cramjam

from obs.errors import TooLarge, UserError
from obs.model.labels import Matcher, MatchOp
from obs.remote_write import wire
from obs.tsdb.remote_read.limits import MAX_REQUEST_BYTES

OPERATORS = (MatchOp.EQ, MatchOp.NE, MatchOp.RE, MatchOp.NRE)
"""LabelMatcher.Type by its number."""


class Form(Enum):
    """ReadRequest.ResponseType."""

    SAMPLES = 0
    CHUNKS = 1


@dataclass(frozen=True, slots=True)
class Query:
    """One selection; both ends belong to it."""

    start_ms: int
    end_ms: int
    matchers: tuple[Matcher, ...]


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """What is asked for."""

    queries: tuple[Query, ...]
    form: Form


def read_request(body: bytes) -> ReadRequest:
    """A request as it came: 1 queries, 2 accepted response types. Raises: UserError, TooLarge."""
    queries: list[Query] = []
    accepted: list[int] = []
    for number, value in wire.fields(unpacked(body)):
        if number == 1:
            queries.append(_query(wire.raw(value)))
        elif number == 2:
            accepted += wire.varints(value)
    return ReadRequest(tuple(queries), chosen(accepted))


def unpacked(body: bytes) -> bytes:
    """A body out of snappy's block format. Raises: UserError, TooLarge."""
    try:
        size = cramjam.snappy.decompress_raw_len(body)
        if size > MAX_REQUEST_BYTES:
            raise TooLarge(
                f"cannot take a request of {size} bytes: the limit is {MAX_REQUEST_BYTES}; send fewer queries"
            )
        return bytes(cramjam.snappy.decompress_raw(body))
    except cramjam.DecompressionError as e:
        raise UserError(f"cannot unpack snappy body of {len(body)} bytes: {e}; send it in the block format") from None


def chosen(accepted: Sequence[int]) -> Form:
    """The first encoding of the sender's list that we write; samples where there is no list. Raises: UserError."""
    known = [Form(number) for number in accepted if number in (0, 1)]
    if accepted and not known:
        raise UserError(f"cannot answer in response types {list(accepted)}: ask for SAMPLES or STREAMED_XOR_CHUNKS")
    return known[0] if known else Form.SAMPLES


def _query(data: bytes) -> Query:
    """1 start, 2 end, 3 matchers, 4 hints (what is read is exact without them)."""
    times = {1: 0, 2: 0}
    matchers = []
    for number, value in wire.fields(data):
        if number in times:
            times[number] = wire.signed(value)
        elif number == 3:
            matchers.append(_matcher(wire.raw(value)))
    return Query(times[1], times[2], tuple(matchers))


def _matcher(data: bytes) -> Matcher:
    """1 type, 2 name, 3 value."""
    found = dict(wire.fields(data))
    number = wire.integer(found.get(1, 0))
    name, value = wire.text(found.get(2, b"")), wire.text(found.get(3, b""))
    if number >= len(OPERATORS) or not name or value is None:
        raise UserError(f"cannot read matcher of {name!r}: type {number}, value {value!r}; send types 0 to 3 and UTF-8")
    op = OPERATORS[number]
    return Matcher(name, op, value)
