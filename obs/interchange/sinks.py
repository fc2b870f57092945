"""Where imported samples go: a running server by remote write, or a data folder whose server is off.

Each piece is acknowledged or refused as a whole; a server that is full or away is asked again for a while.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import cramjam

from obs.client import ClientError, ObsClient
from obs.errors import Unavailable
from obs.interchange import encoding
from obs.interchange.faults import Faults
from obs.interchange.limits import LONGEST_PAUSE_S, WAIT_S
from obs.interchange.pieces import Piece

PATH = "/api/v1/write"
HEADERS = {
    "Content-Type": "application/x-protobuf", "Content-Encoding": "snappy",
    "X-Prometheus-Remote-Write-Version": "0.1.0",
}  # fmt: skip
TRY_AGAIN = (429, 500, 502, 503, 504)
RECOVERY_S = 3600.0

_IN_PART = re.compile(r"cannot store (\d+) samples: (.*); the other \d+ are stored", re.DOTALL)
_COUNT = re.compile(r"\b\d+ because ")


class Sink(Protocol):
    """Whoever keeps the samples."""

    def take(self, piece: Piece, faults: Faults) -> int:
        """Keep a piece; returns how many samples are durable now. Raises: ObsError."""

    def close(self) -> None:
        """Finish."""


class Server:
    """A running obs, or whatever else takes remote write 1.0."""

    def __init__(self, client: ObsClient, pause: Callable[[float], None] = time.sleep, wait_s: float = WAIT_S) -> None:
        self._client, self._pause, self._wait_s = client, pause, wait_s
        self._is_reached = False

    def take(self, piece: Piece, faults: Faults) -> int:
        """See `Sink`. A piece that is too large for the server goes in halves."""
        body = bytes(cramjam.snappy.compress_raw(encoding.body(piece)))
        try:
            self._send(body)
        except ClientError as e:
            if e.status == 413 and len(piece) > 1:
                middle = len(piece) // 2
                return self.take(piece.part(0, middle), faults) + self.take(piece.part(middle, len(piece)), faults)
            refused = _IN_PART.search(str(e)) if e.status == 400 else None
            if refused is None:
                raise
            faults.refused(str(e).strip(), f"the server: {_COUNT.sub('', refused[2])}", int(refused[1]))
            return len(piece) - int(refused[1])
        return len(piece)

    def _send(self, body: bytes) -> None:
        """Until it is acknowledged, or for so long: the same sample twice is one sample. Raises: ClientError."""
        waited, pause = 0.0, 0.25
        while True:
            try:
                self._client.transport.post(PATH, body, HEADERS)
                self._is_reached = True
                return
            except ClientError as e:
                self._is_reached |= e.status is not None
                is_passing = e.status in TRY_AGAIN if e.status is not None else self._is_reached
                if not is_passing or waited >= self._wait_s:
                    raise
                this = min(max(pause, e.retry_after_s or 0.0), LONGEST_PAUSE_S)
            self._pause(this)
            waited, pause = waited + this, pause * 2

    def close(self) -> None:
        """Nothing is held."""


class Folder:
    """The metrics of a data folder, which is held as long as this is open. Raises: ConfigError."""

    def __init__(self, data: Path) -> None:
        from obs.columnar.options import EngineOptions
        from obs.serving.data_folder import DataFolder
        from obs.tsdb.filenames import STORE
        from obs.tsdb.store import MetricStore

        self._folder = DataFolder(data)
        self._store = MetricStore(data / STORE, EngineOptions())
        self._store.open()
        self._store.engine.wait_recovered(RECOVERY_S)

    def take(self, piece: Piece, faults: Faults) -> int:
        """See `Sink`."""
        batch = encoding.batch(piece)
        try:
            stored = self._store.consume(batch)
        except Unavailable:  # memory is full: what is in it becomes blocks
            self._store.flush()
            stored = self._store.consume(batch)
        for reason, count in stored.dropped.items():
            cause = stored.why.get(reason, reason)
            faults.refused(f"cannot store {count} samples: {cause}", cause, count)
        return stored.batch.items

    def close(self) -> None:
        """Write blocks, and let the folder go."""
        try:
            self._store.flush()
            self._store.close()
        finally:
            self._folder.release()
