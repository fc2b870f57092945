"""The file that survives a restart: written beside the old one and renamed over it, fsynced."""

from __future__ import annotations

import logging
import os
import threading
from pathlib import Path
from typing import Any

import orjson

log = logging.getLogger("obs.alerts")


class StateFile:
    """`state.json` of the alertmanager's folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "state.json"
        self._last = b""
        self._lock = threading.Lock()

    def load(self) -> dict[str, Any]:
        """What was saved; {} where nothing was. A damaged file is set aside and told, and alerts start afresh."""
        try:
            value = orjson.loads(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except (OSError, orjson.JSONDecodeError) as e:
            aside = self._path.with_suffix(".damaged")
            log.error("cannot read alert state %s: %s; it was moved to %s", self._path, e, aside)
            self._path.replace(aside)
            return {}
        return value if isinstance(value, dict) else {}

    def save(self, value: dict[str, Any]) -> None:
        """Replace the file if the value differs from the last one saved. Errors are logged: alerts go on."""
        with self._lock:
            data = orjson.dumps(value)
            if data != self._last:
                self._replace(data)

    def _replace(self, data: bytes) -> None:
        temporary = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as f:
                f.write(data)
                f.flush()
                os.fsync(f.fileno())
            temporary.replace(self._path)
            self._last = data
        except OSError as e:
            log.error("cannot save alert state %s: %s", self._path, e)
