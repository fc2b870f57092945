"""Bodies of log records that are longer than a limit are cut, and say so."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from obs.model.batch import Batch, Signal


@dataclass(frozen=True, slots=True)
class Cut:
    """The processor: at most `max_bytes` of a body are kept, and a mark with its whole length."""

    max_bytes: int

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its bodies cut."""
        records = batch.tables.get("logs")
        if batch.signal is not Signal.LOGS or records is None:
            return batch
        body = records.column("body")
        too_long = pc.greater(pc.binary_length(body), self.max_bytes)
        if not pc.any(too_long).as_py():
            return batch
        cut = pa.array([self._cut(text) for text in body.filter(too_long).to_pylist()], pa.string())
        at = records.schema.get_field_index("body")
        records = records.set_column(
            at, records.schema.field(at), pc.replace_with_mask(body, too_long.fill_null(False), cut)
        )
        return Batch(batch.signal, {**batch.tables, "logs": records})

    def _cut(self, text: str) -> str:
        whole = text.encode()
        return f"{whole[: self.max_bytes].decode('utf-8', 'ignore')} [cut by obs: {len(whole)} bytes]"
