"""Files → pieces → a sink: the format is found, the reader runs here, and one thread keeps what was read."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from obs.errors import UserError
from obs.interchange.faults import Faults
from obs.interchange.pieces import LabelSets, Piece
from obs.interchange.sinks import Sink
from obs.interchange.sources import Format, Source

IN_FLIGHT = 3
"""Pieces being kept while the next is read: one at work, and two in store for uneven times."""


def pieces(source: Source, kind: Format | None, sets: LabelSets, faults: Faults) -> Iterator[Piece]:
    """The samples of one file. Raises: UserError."""
    kind = kind or source.format()
    if kind is Format.PARQUET:
        from obs.interchange import block_rows, parquet_rows

        folder = block_rows.folder_of(source.path)
        return block_rows.read(source, folder, sets, faults) if folder else parquet_rows.read(source, sets, faults)
    if source.is_folder:
        raise UserError(f"cannot import folder {source.name!r} as {kind.value}: only blocks of Parquet are folders")
    if kind is Format.CSV:
        from obs.interchange import csv_rows

        return csv_rows.read(source.name, source.lines(), sets, faults)
    if kind is Format.DUMP:
        from obs.interchange import dump

        return dump.read(source.name, source.lines(), sets, faults)
    from obs.interchange.openmetrics import read

    return read(source.name, source.lines(), sets, faults)


def keep(found: Iterable[Piece], sink: Sink, faults: Faults, tell: Callable[[int], None]) -> None:
    """Give all pieces to the sink, in their order; `tell` hears how many samples are durable. Raises: ObsError."""
    with ThreadPoolExecutor(1, thread_name_prefix="keep") as thread:
        waiting: deque[Future[int]] = deque()
        try:
            for piece in found:
                if len(piece) or piece.families:
                    waiting.append(thread.submit(sink.take, piece, faults))
                while len(waiting) > IN_FLIGHT or (waiting and waiting[0].done()):
                    tell(waiting.popleft().result())
            while waiting:
                tell(waiting.popleft().result())
        finally:
            for left in waiting:
                left.cancel()
