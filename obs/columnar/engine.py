"""The storage engine of one store: its parts put together, opened, asked and closed. See README.md for the picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pyarrow as pa

from obs.columnar.append import Appender
from obs.columnar.block import Block
from obs.columnar.blockset import BlockSet
from obs.columnar.compaction import Compactor, pause_s
from obs.columnar.counters import Counters
from obs.columnar.deletes import Deleter
from obs.columnar.filenames import FOLDERS, segment_generation
from obs.columnar.flush import Flusher
from obs.columnar.layout import Layout
from obs.columnar.limits import PACE_BLOCKS, SYNC_RETRY_S
from obs.columnar.lock import FolderLock
from obs.columnar.options import EngineOptions
from obs.columnar.partition import time_range
from obs.columnar.recovery import Replay, find_blocks, find_segments, find_tombstones
from obs.columnar.retention import retain
from obs.columnar.snapshot import write_snapshot
from obs.columnar.state import EngineState
from obs.columnar.storage import LocalStorage, Storage
from obs.columnar.view import View
from obs.columnar.worker import Worker
from obs.errors import ConfigError, StorageFull, Unavailable
from obs.model.clock import SYSTEM_CLOCK, Clock
from obs.model.ports import StoreStats


class Engine:
    """One folder of durable tables. Every method may be called from any thread."""

    def __init__(
        self,
        layout: Layout,
        folder: Path | str,
        options: EngineOptions | None = None,
        clock: Clock = SYSTEM_CLOCK,
        storage: Storage | None = None,
    ) -> None:
        self.folder = Path(folder)
        self.options = options or EngineOptions()
        self._state = EngineState(layout, self.folder, self.options, clock, storage or LocalStorage(self.folder))
        self._appender = Appender(self._state)
        self._flusher = Flusher(self._state)
        self._compactor = Compactor(self._state)
        self._deleter = Deleter(self._state, self._appender)
        self._recovered = threading.Event()
        self._closing = False
        self._lock: FolderLock | None = None
        self._replay: Replay | None = None
        self._workers: list[Worker] = []
        self._replayer: threading.Thread | None = None

    def open(self) -> None:
        """Take the folder and begin; old segments are read back in the background.

        Raises: ConfigError where the folder cannot be used.
        """
        try:
            for name in FOLDERS:
                (self.folder / name).mkdir(parents=True, exist_ok=True)
            self._lock = FolderLock(self.folder)
            self._load()
        except OSError as e:
            self._unlock()
            raise ConfigError(
                f"cannot open data folder {str(self.folder)!r}: {e.strerror or e}; make it writable, with room left"
            ) from None
        self._start()

    def _load(self) -> None:
        state = self._state
        find_tombstones(state)
        state.blockset = BlockSet(find_blocks(state))
        segments = find_segments(self.folder)
        metas, tombstones = [b.meta for b in state.blockset.blocks], state.tombstones
        state.last_delete = max([m.erased for m in metas] + [t.sequence for t in tombstones], default=0)
        used = [segment_generation(p) or 0 for p in segments] + [m.high for m in metas]
        used += [t.before - 1 for t in tombstones]
        state.first_new = max(used, default=0) + 1
        state.recovering = 0.0
        self._replay = Replay(state, segments)
        self._appender.open(state.first_new)

    def _start(self) -> None:
        assert self._replay is not None
        name = self._state.layout.name
        self._replayer = threading.Thread(
            target=self._replay.run, args=(self._end_recovery,), name=f"obs-{name}-recovery", daemon=True
        )
        self._flush_worker = Worker(f"obs-{name}-flush", self._flush_step)
        self._workers = [self._flush_worker, Worker(f"obs-{name}-compact", self._compact_step)]
        if self.options.fsync == "interval":
            self._workers.append(Worker(f"obs-{name}-sync", self._sync_step, SYNC_RETRY_S))
        for worker in self._workers:
            worker.start()
        self._replayer.start()

    def _end_recovery(self) -> None:
        with self._state.changed:
            self._state.recovering = None
            self._state.changed.notify_all()
        self._recovered.set()
        self._flush_worker.wake()

    def _flush_step(self) -> float:
        self._appender.rotate_if_due(self.options.flush_age_s)
        wait_s = self._flusher.step()
        with self._state.changed:
            if not self._closing and self._flusher.last_error is None and self._state.next_frozen() is None:
                self._state.changed.wait(min(1.0, self.options.flush_age_s))
                return 0.0
        return wait_s

    def _compact_step(self) -> float:
        retain(self._state)
        self._deleter.let_go()
        return self._compactor.step()

    def _sync_step(self) -> float:
        self._appender.sync()
        return self.options.fsync_interval_s

    def wait_recovered(self, timeout_s: float = 60.0) -> bool:
        """Whether every old row is visible, waiting for it at most so long."""
        return self._recovered.wait(timeout_s)

    def append(self, tables: Mapping[str, pa.RecordBatch]) -> None:
        """Store rows of several tables, all or none; written to the WAL and visible when this returns.

        Raises: Overloaded, StorageFull, Unavailable after `close`, ValueError where a table does not fit the
        layout, and what the layout's `on_append` raises.
        """
        self._appender.append(tables)
        behind = self._compactor.behind
        if behind > PACE_BLOCKS:
            time.sleep(pause_s(behind, sum(batch.nbytes for batch in tables.values())))

    def view(self) -> View:
        """A consistent snapshot; close it, or use it in `with`."""
        return self._state.view()

    def on_removal(self, let_go: Callable[[Block], None]) -> None:
        """`let_go` is called with each block whose files are about to be deleted: open ones would keep their space."""
        self._state.let_go = let_go

    @property
    def open_views(self) -> int:
        """How many views are open as of now: mostly queries under way."""
        with self._state.changed:
            return self._state.blockset.pinned

    def flush(self, timeout_s: float = 300.0) -> None:
        """Write every row that is now in a head out as blocks, and wait for it.

        Raises: StorageFull or Unavailable where a try to write failed (it is tried again in the background),
        TimeoutError.
        """
        self._recovered.wait(timeout_s)
        last = self._appender.rotate()
        deadline = time.monotonic() + timeout_s
        state = self._state
        with state.changed:
            failures = state.counters.flush_failures
            self._flush_worker.wake()
            while any(h.low <= last for h in state.frozen):
                if state.counters.flush_failures > failures:
                    cause = self._flusher.last_error
                    raise (StorageFull if isinstance(cause, OSError) else Unavailable)(
                        f"cannot flush {state.layout.name!r}: {cause}; it is tried again"
                    )
                if self._closing:
                    raise Unavailable(f"cannot flush {state.layout.name!r}: it is closed")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"cannot flush {state.layout.name!r} within {timeout_s:g} s")
                state.changed.wait(left)

    def compact(self, progress: Callable[[float], None] | None = None) -> int:
        """Merge all that may be merged, now; `progress` is given 0..1. Returns the number of merges."""
        return self._compactor.run(progress)

    def retain(self) -> int:
        """Drop blocks past retention, now; returns how many."""
        return retain(self._state)

    def delete(self, payload: bytes, min_ns: int, max_ns: int, timeout_s: float = 300.0) -> None:
        """Hide the rows of min_ns..max_ns that `payload` names to the layout and that were appended before this.

        It waits for recovery, and for the flush or merge that runs. Durable when it returns.
        Raises: UserError where the layout has no deletes, StorageFull, Unavailable.
        """
        if not self._recovered.wait(timeout_s):
            raise Unavailable(
                f"cannot delete from {self._state.layout.name!r}: old rows are still read back; try again"
            )
        self._deleter.delete(payload, min_ns, max_ns)

    def clean(self, progress: Callable[[float], None] | None = None) -> int:
        """Flush, and write every block anew that has deleted rows; returns their number. Raises: as `flush`."""
        self.flush()
        cleaned = self._compactor.clean(progress)
        self._deleter.let_go()
        return cleaned

    def snapshot(self, destination: Path | str) -> int:
        """Flush, then link every block into `destination`, a folder that an engine can open; returns the blocks."""
        self.flush()
        with self.view() as view:
            return write_snapshot(view, Path(destination))

    @property
    def counters(self) -> Counters:
        """Totals since `open`."""
        return self._state.counters

    def stats(self) -> StoreStats:
        """Figures as of now."""
        state = self._state
        items, layouts = state.layout.tables[0].name, state.layout.tables
        with self.view() as view:
            bounds = [b for block in view.blocks for b in (block.meta.min_ns, block.meta.max_ns)]
            heads = {t.name: view.head_column(t.name, t.time_column) for t in layouts if t.time_column}
            bounds += time_range(heads, layouts) or ()
            blocks_bytes = sum(b.meta.bytes_disk for b in view.blocks)
            return StoreStats(
                items_head=view.head_rows(items),
                bytes_head=state.head_bytes,
                blocks=len(view.blocks),
                items_blocks=sum(b.meta.rows for b in view.blocks),
                bytes_disk=blocks_bytes + self._wal_bytes(),
                min_ns=min(bounds, default=None),
                max_ns=max(bounds, default=None),
                recovering=state.recovering,
                extra=state.counters.as_dict(),
            )

    def _wal_bytes(self) -> int:
        total = 0
        for path in find_segments(self.folder):
            try:
                total += path.stat().st_size
            except FileNotFoundError:
                pass
        return total

    def close(self) -> None:
        """Sync the WAL and stop; heads are read back from it at the next open. Safe to call twice, and unopened."""
        self._closing = True
        if self._replay is not None:
            self._replay.stop = True
        self._appender.close()
        self._recovered.set()  # nobody waits for what does not come
        for worker in self._workers:
            worker.end()
        with self._state.changed:
            self._state.changed.notify_all()
        for worker in self._workers:
            worker.join()
        if self._replayer is not None:
            self._replayer.join()
        with self._state.merging:  # a merge by hand may run
            self._state.closed = True
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
