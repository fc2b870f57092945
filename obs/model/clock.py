"""Time as an argument: whoever needs "now" is given a Clock, so that tests own it."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Wall time in nanoseconds since 1970."""

    def now_ns(self) -> int:
        """The time now."""


class SystemClock:
    """The machine's clock."""

    def now_ns(self) -> int:
        """`time.time_ns()`."""
        return time.time_ns()


SYSTEM_CLOCK = SystemClock()
