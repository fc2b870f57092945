"""A line's shape: its words as they are, `<_>` in place of what has a digit in it. Pure.

A word is a run of bytes that are no white space and none of `=,;[](){}"'/|<>&?!`; `10.0.0.1:80`, a UUID or a time of
day is one word, and none begins with a colon. Lines of one shape have one hash.
"""

from __future__ import annotations

import re

import numpy as np
import numpy.typing as npt
import pyarrow as pa

VARIABLE = "<_>"

MAX_BYTES = 1024
"""A line counts up to here: what follows is `<_>`."""

DELIMITER, DIGIT, PLAIN, INSIDE = range(4)
_DELIMITERS = b" \t\r\n\v\f=,;[](){}\"'/|<>&?!"
_WORDS = re.compile(r"""(<_>|[^ \t\r\n\v\f=,;\[\](){}"'/|<>&?!:][^ \t\r\n\v\f=,;\[\](){}"'/|<>&?!]*)""")
_HAS_DIGIT = re.compile(r"[0-9]")

MAX_SHAPES = 1 << 16
"""Distinct shapes that one run looks at; lines of further ones are not counted. Their table is twice as large."""

Codes = npt.NDArray[np.int32]


def _classes() -> npt.NDArray[np.uint8]:
    table = np.full(256, PLAIN, np.uint8)
    table[list(_DELIMITERS)] = DELIMITER
    table[list(b"0123456789")] = DIGIT
    table[list(b":")] = INSIDE
    return table


CLASSES = _classes()


def pieces(line: str) -> list[str]:
    """Delimiters and words by turns, words with a digit as `<_>`; a long line ends in one. A template gives its own."""
    raw = line.encode()
    cut = raw[:MAX_BYTES].decode("utf-8", "ignore") if len(raw) > MAX_BYTES else line
    found = _WORDS.split(cut)
    found[1::2] = [VARIABLE if _HAS_DIGIT.search(word) else word for word in found[1::2]]
    if len(raw) > MAX_BYTES:
        found = [*found[:-2], VARIABLE, ""] if not found[-1] else [*found, VARIABLE, ""]
    return found


class Shapes:
    """The shapes of lines that come some at a time, by number."""

    def __init__(self) -> None:
        self._first = np.empty(MAX_SHAPES, np.int64)
        self._table = np.zeros(2 * MAX_SHAPES, np.uint64)
        self._numbers = np.zeros(2 * MAX_SHAPES, np.int32)
        self._count = 0

    def add(self, lines: pa.Array) -> tuple[Codes, npt.NDArray[np.int64]]:
        """The shape of each line (-1: null, or one shape too many), and a line of each shape that is new."""
        from obs.logstore.kernels import line_shapes

        text = lines.fill_null("") if lines.null_count else lines
        offsets, data = flat(text)
        of_line = np.empty(len(text), np.int32)
        known = self._count
        self._count = line_shapes(
            data, offsets, CLASSES, MAX_BYTES, of_line, self._first, self._table, self._numbers, known
        )
        if lines.null_count:
            of_line[lines.is_null().to_numpy(zero_copy_only=False)] = -1
        return of_line, self._first[known : self._count].copy()


def codes(lines: pa.Array) -> tuple[Codes, npt.NDArray[np.int64]]:
    """The shape of each line as a number (-1: null, or one shape too many), and a line of each shape. Needs kernels."""
    return Shapes().add(lines)


def flat(texts: pa.Array) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.uint8]]:
    """Where each text begins, and the bytes of all."""
    buffers = texts.buffers()
    offsets = np.frombuffer(buffers[1], np.int32, len(texts) + 1, 4 * texts.offset).astype(np.int64)
    return offsets, np.frombuffer(buffers[2] or b"", np.uint8)
