"""The contract of every store: what was acknowledged is found once and whole, wherever it stands and whatever ends."""

from __future__ import annotations

import random
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import pytest
from numbered_stores import BUSY, ROWS, NumberedStore, killed_load

from obs.columnar.options import EngineOptions
from obs.errors import ConfigError

QUIET = EngineOptions(compact_interval_s=3600.0)
KILLS = 4
LOADED = 120
"""Batches of the load that is read meanwhile: four flushes, and merges between them."""


def _copy(store: Path, to: Path) -> None:
    """Copied again where the store took away a commit that was done with meanwhile."""
    for _ in range(20):
        try:
            shutil.copytree(store, to)
            return
        except shutil.Error:
            shutil.rmtree(to)
    raise AssertionError("the store never stands still")


class StoreContract:
    """Subclasses name their store. A test needs no more than a folder."""

    kind: ClassVar[type[NumberedStore]]

    @contextmanager
    def opened(self, folder: Path, options: EngineOptions = QUIET) -> Iterator[NumberedStore]:
        """Open and recovered; closed afterwards, with nothing put aside."""
        found = self.kind(folder, options)
        found.store.open()
        try:
            assert found.engine.wait_recovered(60)
            yield found
            assert (found.engine.counters.quarantined, found.engine.counters.flush_failures) == (0, 0)
        finally:
            found.store.close()

    def test_what_is_put_is_found_wherever_it_stands(self, tmp_path: Path) -> None:
        with self.opened(tmp_path / "store") as store:
            for number in range(3):
                store.put(number)
                assert store.numbers() == [*range(number + 1)]
                assert store.engine.stats().items_head == ROWS
                store.store.flush()
                assert store.numbers() == [*range(number + 1)]
            stats = store.store.stats()
            assert (stats.items_head, stats.items_blocks) == (0, 3 * ROWS)
            store.engine.compact()
            assert store.store.stats().blocks < stats.blocks
            assert store.numbers() == [0, 1, 2]
            store.put(3)
        with self.opened(tmp_path / "store") as store:
            assert store.numbers() == [0, 1, 2, 3]

    @pytest.mark.parametrize("then", ["nothing", "flush", "compact"])
    def test_a_crash_loses_nothing(self, tmp_path: Path, then: str) -> None:
        """A copy of the folder is what a crash leaves: no close, no sync."""
        with self.opened(tmp_path / "store") as store:
            for number in range(3):
                store.store.flush()
                store.put(number)
            if then != "nothing":
                getattr(store.engine, then)()
            _copy(tmp_path / "store", tmp_path / "left")
        for life in range(2):
            with self.opened(tmp_path / "left") as store:
                assert store.numbers() == [*range(3 + life)]
                store.put(3 + life)
                assert store.numbers() == [*range(4 + life)]

    def test_kill_nine(self, tmp_path: Path) -> None:
        moments = random.Random(9)
        acknowledged: list[int] = []
        for life in range(KILLS):
            acknowledged += killed_load(
                self.kind.__name__, tmp_path / "store", life * 100_000, moments.randrange(5, 150)
            )
        with self.opened(tmp_path / "store") as store:
            found = store.numbers()
        assert not set(acknowledged) - set(found), "acknowledged batches are lost"
        assert len(found) - len(acknowledged) <= 3 * KILLS, "only what was on its way may be there beyond those"

    def test_each_reading_of_a_busy_store_sees_all_that_was_acknowledged(self, tmp_path: Path) -> None:
        acknowledged = -1

        def write() -> None:
            nonlocal acknowledged
            for number in range(LOADED):
                store.put(number)
                acknowledged = number

        with self.opened(tmp_path / "store", BUSY) as store:
            writer = threading.Thread(target=write)
            writer.start()
            while writer.is_alive():
                known, found = acknowledged, store.numbers()
                assert found == [*range(len(found))]
                assert len(found) > known
            writer.join()
            store.store.flush()
            assert store.numbers() == [*range(LOADED)]
            assert store.engine.counters.flushes > 3

    def test_a_folder_has_one_owner(self, tmp_path: Path) -> None:
        with self.opened(tmp_path / "store") as store:
            store.put(0)
            second = self.kind(tmp_path / "store", QUIET)
            with pytest.raises(ConfigError, match="cannot"):
                second.store.open()
            second.store.close()
            store.put(1)
            assert store.numbers() == [0, 1]

    def test_closing_is_safe_twice_and_without_opening(self, tmp_path: Path) -> None:
        store = self.kind(tmp_path / "store", QUIET)
        store.store.close()
        with self.opened(tmp_path / "store") as store:
            store.put(0)
            store.store.close()
        with self.opened(tmp_path / "store") as store:
            assert store.numbers() == [0]
