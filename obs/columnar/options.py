"""What a user may set about one engine; the defaults fit a two-core machine with 4 GB."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from obs.errors import ConfigError


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """Settings of one engine. Bytes are decoded (Arrow) bytes, but for `retention_bytes`, which is on disk.

    A head is flushed at `flush_rows`, `flush_bytes` or `flush_age_s`, whichever comes first. `compact_max_bytes`
    bounds what one merge decodes, and with it compaction's memory; where a layout merges tables as it reads them,
    `compact_max_rows` alone bounds theirs.
    """

    flush_rows: int = 4_000_000
    flush_bytes: int = 64 << 20
    flush_age_s: float = 300.0
    fsync: Literal["interval", "always"] = "interval"
    fsync_interval_s: float = 1.0
    retention_age_s: float | None = None
    retention_bytes: int | None = None
    compact_max_rows: int = 16_000_000
    compact_max_bytes: int = 360 << 20  # four flushes, each over its limit by what a layout adds
    compact_interval_s: float = 5.0
    memory_limit_bytes: int = 512 << 20

    def __post_init__(self) -> None:
        """Raises: ConfigError where a value cannot work."""
        for key in ("flush_rows", "flush_bytes", "flush_age_s", "fsync_interval_s", "memory_limit_bytes",
                    "compact_interval_s", "compact_max_rows", "compact_max_bytes"):  # fmt: skip
            if getattr(self, key) <= 0:
                raise ConfigError(f"cannot use {key} {getattr(self, key)!r}: it must be above zero")
        if self.fsync not in ("interval", "always"):
            raise ConfigError(f"cannot use fsync {self.fsync!r}: known values are interval, always")
        if self.memory_limit_bytes < self.flush_bytes:
            raise ConfigError(
                f"cannot use memory_limit_bytes {self.memory_limit_bytes}: it is below flush_bytes "
                f"{self.flush_bytes}; raise it, or flush earlier"
            )
