"""Moments and durations as people type them → unix seconds."""

from __future__ import annotations

import contextlib
import math
import re
import time
from datetime import datetime

from obs.errors import UserError

_UNITS = {"ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}


def duration_s(text: str) -> float:
    """Seconds of `90s`, `1h30m` or a plain number. Raises: UserError."""
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdw])", text)
    if parts and "".join(n + u for n, u in parts) == text:
        return sum(float(n) * _UNITS[u] for n, u in parts)
    try:
        return float(text)
    except ValueError:
        raise UserError(f"cannot read duration {text!r}; write it as 30s, 5m or 1h30m") from None


def moment_s(text: str, now_s: float | None = None) -> float:
    """Unix seconds of `now`, `-15m`, RFC 3339 or a number. Raises: UserError."""
    now = time.time() if now_s is None else now_s
    if text == "now":
        return now
    if text.startswith("-"):
        return now - duration_s(text[1:])
    with contextlib.suppress(ValueError):
        if math.isfinite(number := float(text)):
            return number
    try:
        return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise UserError(
            f"cannot read time {text!r}; write it as now, -1h, 2026-01-02T15:04:05Z or unix seconds"
        ) from None
