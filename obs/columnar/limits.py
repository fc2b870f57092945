"""Every number of the engine that is not a setting, each with its reason."""

from __future__ import annotations

DAY_NS = 86_400_000_000_000
"""A partition is one UTC day: what retention by age drops and what most queries span."""

DAYS_BACK = 15
DAYS_AHEAD = 1
"""Days around now that get a partition each; with the limits below one flush makes at most 31 blocks, however
its timestamps are scattered, so random times cannot make thousands of files."""

YEARS_BACK = 10
YEARS_AHEAD = 1
"""Years around now that get a partition each; what lies beyond shares `before` and `after`."""

FEW_DAYS = 4_096
"""Days from a flush's first row to its last up to which each day's partition is worked out once and looked up."""

JOIN_APPENDS = 64
"""Appends joined into one WAL frame: past this the joining costs the first one more latency than it saves."""

JOIN_BYTES = 16 << 20
"""Bytes joined into one WAL frame, so that a frame stays small beside the flush limit."""

MAX_COLUMNS_KNOWN = 50_000
"""Columns whose types are remembered; attribute keys may be new for ever, memory is not."""

MAX_STREAMS = 256
"""Arrow streams open at once in a segment. Each is a schema held in memory here and, at recovery, a reader; log
batches whose columns differ every time would else hold thousands."""

SINK_BYTES = 1 << 20
"""Buffer that gathers Arrow's many small writes into one per frame; larger arrays pass by it."""

HEAD_TAIL_CHUNKS = 128
"""Chunks a head keeps as they came before a read joins them: fewer are as cheap to scan as they are (3 ms for 128
chunks of 35 columns), and a head of wide records is flushed before it has many more."""

HEAD_TAIL_ROWS = 1 << 16
"""Rows in such chunks past which they are joined where a reader keeps what it makes of a run."""

HEAD_CHUNK_ROWS = 4096
"""Rows of a chunk, on average, past which numbers are not copied to be joined: a chunk costs a few microseconds to
whoever reads it, new memory for so many rows of three numbers 30 and more."""

HEAD_RUN_ROWS = 1 << 18
"""Runs of joined chunks grow to this and are then left alone: a read never copies a whole head, and no row often."""

ROW_GROUP_ROWS = 131_072
"""Rows of a Parquet row group unless the layout says otherwise: a few MB decoded, enough for zstd, small to skip."""

ZSTD_LEVEL = 3
"""Past level 3 telemetry gains under 5 % of size for twice the time."""

FLUSH_BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Waits between tries of a flush that failed (a full disk); the last one repeats."""

SYNC_RETRY_S = 2.0
"""Wait after a sync that failed: the rows written since are only as safe as the kernel's memory."""

RETRY_AFTER_S = 1.0
"""What a sender is told when the memory limit is reached: about the time one flush takes."""

REPLAY_HEADS = 2
"""Heads that recovery lets wait for their flush: more memory than running takes would break the limit it restores."""

COMPACT_FAN_IN = 4
"""Adjacent blocks of a like size that make a merge worth its writing: each row is written log4(size) times."""

COMPACT_LEVEL_BYTES = 1 << 20
"""Blocks under this are all of the lowest level, whatever their size."""

COMPACT_MAX_INPUTS = 64
"""Blocks of one merge: open files and schemas to unify stay few, and planning stays quick."""

COMPACT_REPEATED = 0.75
"""Rows left of those merged, up to which a block is taken to repeat its neighbours (clients that send again what was
stored): two such are worth a merge, since it shrinks them. Without this they would stand apart once they are large."""

PACE_BLOCKS = 24
"""Blocks that may wait to be merged before senders are slowed down: else a load that takes all of the machine would
leave compaction behind for ever, and files would grow without bound."""

PACE_BYTES_S = 512 << 20
"""With n blocks more than that an append's answer waits as if the disk took this / n bytes a second: 32 more and two
senders get 32 MB/s of decoded rows in (140,000 spans/s); a small append waits hardly at all."""

PACE_LONGEST_S = 0.25
"""No answer waits longer, however far behind compaction is."""

COMPACT_REST = ((12, 2.0), (40, 0.5))
"""(blocks, rest): after a merge that took t seconds, and while at most so many blocks are small enough to be merged,
compaction rests `rest` × t, a third of a core; over the last it does not rest, or files would grow without bound."""

FOUND_ROWS_BYTES = 32 << 20
"""What a store remembers of filters: two bytes a row kept, so five that keep a seventh of 20 M records."""

FOUND_ROWS_ENTRY_BYTES = 400
"""What remembering the rows of a row group takes beside these: its key and the array's head."""
