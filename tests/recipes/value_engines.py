"""A storage engine of keyed values on a real folder, as tests of the engine open, fill and read it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from obs.columnar.engine import Engine
from obs.columnar.example import KeyValueLayout, read_values, values_batch
from obs.columnar.options import EngineOptions

NOW = time.time_ns()
QUIET = EngineOptions(compact_interval_s=3600.0)


@contextmanager
def opened(folder: Path, options: EngineOptions = QUIET, **parts: Any) -> Iterator[Engine]:
    """Open and recovered; closed afterwards. `parts` go to the engine."""
    engine = Engine(parts.pop("layout", None) or KeyValueLayout(), folder, options, **parts)
    engine.open()
    try:
        assert engine.wait_recovered(30)
        yield engine
    finally:
        engine.close()


def put(engine: Engine, *keys: int, value: int = 0, t_ns: int = NOW) -> None:
    """Append a row for each key."""
    engine.append({"values": values_batch([(key, t_ns, value) for key in keys])})


def keys_of(engine: Engine) -> list[int]:
    """The key of each row that is there."""
    with engine.view() as view:
        return sorted(key for key, _ in read_values(view))


def until(condition: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.005)
