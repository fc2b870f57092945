"""Durations and times as query APIs write them, in nanoseconds. Pure."""

from __future__ import annotations

import re
from datetime import datetime

from obs.errors import UserError

UNITS_NS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9,
    "m": 60 * 10**9, "h": 3600 * 10**9, "d": 86400 * 10**9,
}  # fmt: skip
_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h|d)")
_FRACTION = re.compile(r":\d\d[.,](\d+)")  # of a second: datetime keeps microseconds only
MAX_NS = 2**63 - 1


def duration_ns(text: str, bare_unit_ns: int | None = None) -> int:
    """A duration like `1h30m`, `100ms`, `1.5s`; a bare number counts in `bare_unit_ns`, where that is given.

    Raises: UserError.
    """
    given = str(text).strip()
    body = given.removeprefix("-")
    parts = _PART.findall(body)
    if parts and "".join(n + u for n, u in parts) == body:
        total = sum(_scaled(number, UNITS_NS[unit]) for number, unit in parts)
    elif bare_unit_ns is not None and re.fullmatch(r"\d{1,19}(\.\d*)?", body):
        total = _scaled(body, bare_unit_ns)
    else:
        raise UserError(f"cannot read duration {given[:40]!r}: it is not like 250ms or 1h30m")
    return min(total, MAX_NS) * (-1 if given.startswith("-") else 1)


def _scaled(number: str, unit_ns: int) -> int:
    exact = number.isdigit() and len(number) <= 19
    return int(number) * unit_ns if exact else round(min(float(number) * unit_ns, MAX_NS))


def time_ns(name: str, text: str, unit_ns: int) -> int:
    """A time given as a number of units since 1970, or as RFC 3339. Raises: UserError."""
    given = text.strip()
    try:
        found = int(given) * unit_ns if given.lstrip("-").isdigit() else round(float(given) * unit_ns)
    except (ValueError, OverflowError):
        found = _rfc3339(name, given)
    return max(min(found, MAX_NS), -MAX_NS)


def _rfc3339(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.astimezone()
        seconds = round(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError):
        raise UserError(f"cannot read {name} {text[:40]!r}: it is no number and no RFC 3339 time") from None
    fraction = _FRACTION.search(text)
    return seconds * 10**9 + (int(fraction.group(1)[:9].ljust(9, "0")) if fraction else 0)
