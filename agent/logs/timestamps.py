"""The time that a line of text says it is from: ISO 8601, syslog's old form, web servers' common log form.

Without an offset a time is local, as syslog writes it. Pure.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

_ISO = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:[.,](\d{1,9})\d*)?\s?(Z|[+-]\d\d:?\d\d)?(?!\d)")
_JSON_TIME = re.compile(r'"(?:time|timestamp|ts|@timestamp|asctime)"\s*:\s*"([^"]{19,40})"')
_SYSLOG = re.compile(r"(?:<\d{1,3}>)?([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d)\b")
_COMMON_LOG = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]")
_PREFIX_CHARS = 4  # such as "[" or "<14>1 "'s tail before an ISO time at the start of a line
_SEARCH_CHARS = 300


def iso_to_ns(text: str) -> int | None:
    """Nanoseconds since 1970 of a text that begins with an ISO 8601 time, or None."""
    found = _ISO.match(text)
    return None if found is None else _iso_ns(found)


def _iso_ns(found: re.Match[str]) -> int | None:
    day, clock, fraction, zone = found.groups()
    try:
        seconds = int(datetime.fromisoformat(f"{day}T{clock}{zone or ''}").timestamp())
    except (ValueError, OverflowError, OSError):
        return None
    return seconds * 1_000_000_000 + int((fraction or "0").ljust(9, "0"))


def guess_time_ns(text: str, now_ns: int) -> int | None:
    """The time in a line of a plain log, or None. More than a day ahead of now is not believed."""
    head = text[:_SEARCH_CHARS]
    when = _leading_iso(head) or _json_time(head) or _syslog(head, now_ns) or _common_log(head)
    return None if when is None or when > now_ns + 86_400_000_000_000 else when


def _leading_iso(head: str) -> int | None:
    found = _ISO.search(head, 0, 40 + _PREFIX_CHARS)
    if found is None or found.start() > _PREFIX_CHARS:
        return None
    return _iso_ns(found)


def _json_time(head: str) -> int | None:
    if not head.startswith("{"):
        return None
    found = _JSON_TIME.search(head)
    return iso_to_ns(found[1]) if found else None


def _syslog(head: str, now_ns: int) -> int | None:
    """`Nov 23 09:00:49` has no year: this one, or the last where that would lie ahead."""
    found = _SYSLOG.match(head)
    if found is None:
        return None
    now = datetime.fromtimestamp(now_ns / 1e9)
    try:
        when = datetime.strptime(f"{now.year} {found[1]} {found[2].strip()} {found[3]}", "%Y %b %d %H:%M:%S")
        if when > now + timedelta(days=1):
            when = when.replace(year=now.year - 1)
    except ValueError:
        return None
    return int(when.timestamp()) * 1_000_000_000


def _common_log(head: str) -> int | None:
    found = _COMMON_LOG.search(head)
    if found is None:
        return None
    try:
        when = datetime.strptime(found[1], "%d/%b/%Y:%H:%M:%S %z")
    except ValueError:
        return None
    return int(when.astimezone(UTC).timestamp()) * 1_000_000_000
