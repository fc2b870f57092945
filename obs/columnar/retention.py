"""What is too old or too much: whole blocks, oldest first."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from obs.columnar.block import Block
from obs.columnar.state import EngineState

log = logging.getLogger(__name__)


def past_retention(blocks: Iterable[Block], now_ns: int, age_s: float | None, max_bytes: int | None) -> list[Block]:
    """The blocks to drop: all whose last row is older than `age_s`, then the oldest until the rest fits `max_bytes`."""
    oldest_first = sorted(blocks, key=lambda b: (b.meta.max_ns, b.order))
    limit = now_ns - int(age_s * 1e9) if age_s is not None else None
    dropped = [b for b in oldest_first if limit is not None and b.meta.max_ns < limit]
    kept = oldest_first[len(dropped) :]
    total = sum(b.meta.bytes_disk for b in kept)
    for block in kept if max_bytes is not None else ():
        if max_bytes is None or total <= max_bytes:
            break
        dropped.append(block)
        total -= block.meta.bytes_disk
    return dropped


def retain(state: EngineState) -> int:
    """Drop what is past retention; returns the number of blocks. Files go when no view sees them."""
    options = state.options
    if options.retention_age_s is None and options.retention_bytes is None:
        return 0
    with state.merging:
        dropped = past_retention(
            state.blockset.blocks, state.clock.now_ns(), options.retention_age_s, options.retention_bytes
        )
        if dropped:
            state.replace_blocks((), dropped)
            state.counters.blocks_retired += len(dropped)
            log.info("%r: %d blocks are past retention and were dropped", state.layout.name, len(dropped))
    return len(dropped)
