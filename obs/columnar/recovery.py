"""What a start finds: live blocks, and WAL segments to read back while new data is already taken."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from obs.columnar.block import Block
from obs.columnar.erasing import batches_without
from obs.columnar.filenames import WAL, quarantine_path, segment_generation
from obs.columnar.flush import drop_segments
from obs.columnar.frame import End
from obs.columnar.limits import REPLAY_HEADS
from obs.columnar.state import EngineState, quarantine_folder
from obs.columnar.tombstones import read_tombstones
from obs.columnar.wal import SegmentReader, as_appends
from obs.errors import CorruptionError

log = logging.getLogger(__name__)


def find_tombstones(state: EngineState) -> None:
    """Deletes whose rows may still be somewhere. Raises: OSError."""
    found, damaged = read_tombstones(state.folder)
    state.counters.quarantined += damaged
    state.tombstones = tuple(found)


def find_blocks(state: EngineState) -> list[Block]:
    """The live blocks: those of finished commits, without the damaged and the replaced. Raises: OSError."""
    found = state.storage.recover()
    blocks = []
    for folder in found.blocks:
        try:
            blocks.append(Block.load(folder, state.quarantine))
        except CorruptionError as e:
            state.counters.quarantined += 1
            quarantine_folder(state.folder, folder, str(e))
    for commit in found.unsettled:
        drop_segments(state, commit)
    return [_with_tombstones(state, block) for block in _without_replaced(state, blocks)]


def _with_tombstones(state: EngineState, block: Block) -> Block:
    hiding = [t for t in state.tombstones if t.concerns(block.meta)]
    return block.hiding(hiding) if hiding else block


def _without_replaced(state: EngineState, blocks: Sequence[Block]) -> list[Block]:
    """A crash between a merge's commit and the removal of its inputs leaves both."""
    replaced = {name for block in blocks for name in block.meta.replaces}
    for block in blocks:
        if block.name in replaced:
            state.storage.remove(block.folder, in_use=False)
    return [b for b in blocks if b.name not in replaced]


def find_segments(folder: Path) -> list[Path]:
    """WAL segments, oldest first. Raises: OSError."""
    return sorted(p for p in (folder / WAL).iterdir() if segment_generation(p) is not None)


class Replay:
    """Reads old segments back into heads that are older than every new one, frame by frame."""

    def __init__(self, state: EngineState, segments: Sequence[Path]) -> None:
        self._state = state
        self._segments = segments
        self._total = sum(p.stat().st_size for p in segments)
        self._done = 0
        self.stop = False

    def run(self, on_done: Callable[[], None]) -> None:
        """Replay all, then call `on_done`. Heads over the flush limits go to blocks on the way.

        Where `stop` cuts it short `on_done` is not called: newer rows must not go to blocks before older ones.
        """
        state = self._state
        for path in self._segments:
            self._wait_for_room()
            if self.stop:
                return
            self._segment(path)
            if self.stop:
                return
            if self._over_limit():
                state.freeze_replayed()
        state.freeze_replayed()
        on_done()

    def _over_limit(self) -> bool:
        head, options = self._state.replaying, self._state.options
        assert head is not None
        items = self._state.layout.tables[0].name
        return head.nbytes >= options.flush_bytes or head.rows(items) >= options.flush_rows

    def _wait_for_room(self) -> None:
        """Until few enough of the heads read back wait for their flush."""
        state = self._state
        with state.changed:
            while not self.stop and sum(h.high < state.first_new for h in state.frozen) >= REPLAY_HEADS:
                state.changed.wait(0.1)

    def _segment(self, path: Path) -> None:
        """Read one segment into the replay head; its end is cut or put in quarantine where it is not clean."""
        state = self._state
        generation = segment_generation(path)
        assert generation is not None
        if state.replaying is None:
            state.replaying = state.new_head(generation)
        else:
            state.replaying.cover(generation)
        deletes = [t for t in state.tombstones if generation < t.before]
        held: list[tuple[str, pa.RecordBatch]] = []
        good = 0
        try:
            reader = SegmentReader(path)
            for parts in reader:
                for tables in as_appends(parts):
                    state.layout.on_replay(tables)
                held.extend(parts) if deletes else state.add_replayed(parts)
                good = reader.offset
                state.recovering = min(1.0, (self._done + good) / max(1, self._total))
                if self.stop:
                    return
        except OSError as e:
            state.replaying.segments.remove(generation)  # no flush deletes it
            state.counters.wal_errors += 1
            log.error("cannot read back WAL %r: %s; its rows are missing until a start can read it", str(path), e)
            return
        except Exception:
            log.exception("cannot read back WAL %r past byte %d", str(path), good)
            reader.end, reader.offset = End.DAMAGED, good
        if held:
            state.add_replayed(batches_without(state.layout, held, deletes))
        self._done += reader.size
        try:
            self._finish(reader)
        except OSError as e:
            log.error("cannot cut WAL %r at byte %d: %s", str(path), reader.offset, e)

    def _finish(self, reader: SegmentReader) -> None:
        state = self._state
        if reader.end is End.TORN:
            state.counters.wal_torn += 1
            log.info("WAL %r ends in a write that a crash cut, at byte %d", str(reader.path), reader.offset)
            os.truncate(reader.path, reader.offset)
        elif reader.end is End.DAMAGED:
            state.counters.quarantined += 1
            target = quarantine_path(state.folder, f"{reader.path.name}-from-{reader.offset}")
            log.error(
                "WAL %r is damaged from byte %d on; the rest was copied to %r, what came before is served",
                str(reader.path), reader.offset, str(target),
            )  # fmt: skip
            target.write_bytes(reader.path.read_bytes()[reader.offset :])
            os.truncate(reader.path, reader.offset)
