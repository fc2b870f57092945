"""Batches of plain numbers as the bytes that Arrow's stream writer makes of them, for a fraction of its time.

The head of such a message depends on the schema and the number of rows alone: it is cut from one that Arrow wrote, and
columns are put behind it. Source: arrow.apache.org/docs/format/Columnar.html, "Recordbatch message".
"""

from __future__ import annotations

import pyarrow as pa

MOST_HEADS = 256
"""Of one schema: senders' batches have few different sizes, and a head has some 300 bytes."""

ALIGNED = 8
"""Buffers of a message begin at multiples of this."""


def is_plain(schema: pa.Schema) -> bool:
    """Whether all columns are numbers of whole bytes."""
    return all(pa.types.is_integer(field.type) or pa.types.is_floating(field.type) for field in schema)


class PlainMessages:
    """The messages of one stream of plain batches."""

    def __init__(self, schema: pa.Schema) -> None:
        self._widths = [field.type.bit_width // 8 for field in schema]
        self._heads: dict[int, bytes] = {}

    def encode(self, batch: pa.RecordBatch) -> bytes | None:
        """The message of a batch, or None where it must be written, and learned from, or has nulls."""
        head = self._heads.get(batch.num_rows)
        if head is None:
            return None
        body = self._body(batch)
        return None if body is None else b"".join([head, *body])

    def learn(self, batch: pa.RecordBatch, message: bytes) -> None:
        """Keep the head of a message that Arrow wrote, where the rest of it is as expected."""
        body = self._body(batch)
        if body is None or len(self._heads) >= MOST_HEADS:
            return
        columns = b"".join(body)
        if message.endswith(columns):
            self._heads[batch.num_rows] = message[: len(message) - len(columns)]

    def _body(self, batch: pa.RecordBatch) -> list[bytes | memoryview] | None:
        """The columns, each filled up to a multiple of `ALIGNED`; None where one has a null."""
        pieces: list[bytes | memoryview] = []
        rows = batch.num_rows
        for column, width in zip(batch.columns, self._widths, strict=True):
            validity, values = column.buffers()
            if validity is not None or values is None:
                return None
            start, size = column.offset * width, rows * width
            pieces.append(memoryview(values)[start : start + size])
            if size % ALIGNED:
                pieces.append(bytes(ALIGNED - size % ALIGNED))
        return pieces
