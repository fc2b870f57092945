"""The engine's own counters: plain ints, read by the app and exported under the store's name."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class Counters:
    """Totals since the engine was opened. Each is written by one thread at a time, under the lock that it works in."""

    appends: int = 0
    appends_joined: int = 0  # appends that shared a frame with an earlier one
    appends_refused: int = 0
    rows: int = 0  # of all tables
    wal_frames: int = 0
    wal_bytes: int = 0
    wal_errors: int = 0
    fsyncs: int = 0
    rotations: int = 0
    flushes: int = 0
    flush_failures: int = 0
    blocks_written: int = 0
    compactions: int = 0
    compaction_failures: int = 0
    blocks_retired: int = 0  # past retention
    blocks_cleaned: int = 0  # written anew without what was deleted
    deletes: int = 0
    rows_replayed: int = 0
    wal_torn: int = 0  # segments whose last write a crash had cut
    quarantined: int = 0  # blocks and WAL rests

    def as_dict(self) -> dict[str, int]:
        """Name → total."""
        return {f.name: getattr(self, f.name) for f in fields(self)}
