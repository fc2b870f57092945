"""Matching label values: equality and RE2 regexes, on distinct values and then on rows.

Regexes run in RE2 (through Arrow), so no pattern can backtrack; in matchers they are anchored at both ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs import warm
from obs.errors import QueryError
from obs.logstore.literals import exact_case, required_literals
from obs.model.labels import Labels, Matcher, MatchOp

Mask = npt.NDArray[np.bool_]
_ONE = pa.array([""])
_FEW = 256
KERNELS = "obs.logstore.kernels"


@lru_cache(maxsize=1024)
def check_regex(pattern: str) -> str:
    """The pattern, if RE2 compiles it. Raises: QueryError."""
    try:
        pc.match_substring_regex(_ONE, pattern)
    except pa.ArrowInvalid as e:
        cause = str(e).removeprefix("Invalid regular expression: ")
        raise QueryError(f"cannot compile regex {pattern!r}: {cause}; RE2 has no such syntax") from None
    return pattern


def anchored(pattern: str) -> str:
    """A pattern that must match the whole value; a dot matches a newline too, as in Prometheus."""
    return f"^(?s:{pattern})$"


def literal(text: str) -> str:
    """The RE2 pattern of a text as it stands."""
    return "".join(c if c.isalnum() or c in "_ " or ord(c) > 127 else f"\\x{{{ord(c):x}}}" for c in text)


def contains(values: pa.Array, text: str) -> Mask:
    """Whether each string (no null) contains a text: by libc, else by RE2, which is twice as fast as Arrow's search."""
    if text and values.type == pa.string() and warm.ready(KERNELS):
        return _holding(values, text.encode())
    mask: Mask = pc.match_substring_regex(values, literal(text)).to_numpy(zero_copy_only=False)
    return mask


def _holding(values: pa.Array, needle: bytes) -> Mask:
    from obs.logstore.kernels_text import rows_holding

    hits = np.zeros(len(values), np.bool_)
    _, offsets, data = values.buffers()
    if data is not None and data.size and len(values):
        at = np.frombuffer(offsets, np.int32, len(values) + 1, values.offset * 4)
        text = np.frombuffer(data, np.uint8)
        at.flags.writeable = text.flags.writeable = False  # one type for the kernel
        rows_holding(text, at, np.frombuffer(needle, np.uint8), hits)
    return hits


@lru_cache(maxsize=1024)
def literal_of(pattern: str) -> str:
    """The longest text that each match of a pattern contains as it stands; empty where it would rule out little."""
    text = max(required_literals(pattern), key=len, default="") if exact_case(pattern) else ""
    return text if len(text) > 1 else ""


def matches(values: pa.Array, pattern: str) -> Mask:
    """Whether RE2 finds a pattern in each string (no null); it sees only those that hold a text each match contains."""
    text = literal_of(pattern)
    if not text or len(values) < _FEW:
        return found_by_re2(values, pattern)
    mask = contains(values, text)
    at = np.flatnonzero(mask)
    if len(at) * 2 > len(values):
        return found_by_re2(values, pattern)
    mask[at] = found_by_re2(values.take(pa.array(at)), pattern)
    return mask


def found_by_re2(values: pa.Array, pattern: str) -> Mask:
    """Whether RE2 finds a pattern in each string (no null)."""
    mask: Mask = pc.match_substring_regex(values, pattern).to_numpy(zero_copy_only=False)
    return mask


def values_match(values: pa.Array, matcher: Matcher) -> Mask:
    """Whether each string (null is "") satisfies a matcher."""
    values = values.fill_null("") if values.null_count else values
    if matcher.op in (MatchOp.EQ, MatchOp.NE):
        hit = pc.equal(values, matcher.value)
    else:
        hit = pc.match_substring_regex(values, anchored(matcher.value))
    mask: Mask = hit.to_numpy(zero_copy_only=False)
    return mask if matcher.op in (MatchOp.EQ, MatchOp.RE) else ~mask


def matches_stream(labels: Labels, matchers: Sequence[Matcher]) -> bool:
    """Whether a stream satisfies every matcher."""
    own = dict(labels)
    return all(bool(values_match(pa.array([own.get(m.name, "")], pa.string()), m)[0]) for m in matchers)


def label_mask(array: pa.Array | None, rows: int, test: Callable[[pa.Array], Mask]) -> Mask:
    """Apply `test` to a label's values, once a distinct one where they are dictionary-encoded; absent is ""."""
    if array is None:
        return np.full(rows, bool(test(_ONE)[0]))
    if not pa.types.is_dictionary(array.type):
        return test(array.fill_null("") if array.null_count else array)
    table = np.append(test(array.dictionary), test(_ONE)) if array.null_count else test(array.dictionary)
    codes = array.indices.fill_null(len(array.dictionary)) if array.null_count else array.indices
    mask: Mask = table[codes.to_numpy(zero_copy_only=False)]
    return mask
