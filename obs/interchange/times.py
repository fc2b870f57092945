"""Times as files have them → milliseconds since 1970: unix seconds, ms, µs or ns, or RFC 3339.

A column's name says its unit (`time_ms`); where it does not, a number's size does: below 1e11 it is seconds (up to the
year 5138), below 1e14 milliseconds, below 1e17 microseconds, else nanoseconds. What is finer than 1 ms is cut off.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from obs.interchange.faults import Unreadable
from obs.interchange.limits import FIRST_MS, LAST_MS

UNITS = {"s": (1000, 1), "ms": (1, 1), "us": (1, 1000), "ns": (1, 1_000_000)}
"""Milliseconds are numbers of each unit times this, over that."""

NAMES: dict[str, str | None] = {
    "time": None, "timestamp": None, "ts": None, "t": None,
    **{f"{name}_{unit}": unit for name in ("time", "timestamp", "ts", "t") for unit in UNITS},
}  # fmt: skip
"""Columns of times, and the unit that each name says."""

_SIZES: tuple[tuple[int, str], ...] = ((10**11, "s"), (10**14, "ms"), (10**17, "us"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def read_time(text: str, unit: str | None) -> int:
    """Milliseconds of a time. Raises: Unreadable."""
    try:
        number: int | Fraction = int(text) if text.lstrip("-").isdigit() else Fraction(text)
    except (ValueError, ZeroDivisionError):
        return _calendar(text)
    times, over = UNITS[unit or unit_of(number)]
    t_ms = int(number * times // over)
    if not FIRST_MS <= t_ms <= LAST_MS:
        raise Unreadable("time", text, "it is past what 64 bits of milliseconds hold")
    return t_ms


def unit_of(number: int | Fraction) -> str:
    """The unit that a number's size speaks for."""
    for limit, unit in _SIZES:
        if -limit < number < limit:
            return unit
    return "ns"


def _calendar(text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unreadable("time", text, "it is neither RFC 3339 nor a number") from None
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // _MS


def whole_times(numbers: npt.NDArray[np.int64], unit: str | None) -> npt.NDArray[np.int64]:
    """Milliseconds of whole numbers; the unit of all is that of the greatest."""
    greatest = max(abs(int(numbers.min(initial=0))), abs(int(numbers.max(initial=0))))
    times, over = UNITS[unit or unit_of(greatest)]
    return np.floor_divide(numbers * times, over)
