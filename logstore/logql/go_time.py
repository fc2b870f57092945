"""Times as Go's layouts write and read them; all times are nanoseconds since 1970.

Source: pkg.go.dev/time, "Constants".
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

_PARTS = {
    "2006": "%Y", "06": "%y", "January": "%B", "Jan": "%b", "01": "%m", "Monday": "%A", "Mon": "%a", "02": "%d",
    "002": "%j", "15": "%H", "03": "%I", "04": "%M", "05": "%S", "PM": "%p", "MST": "%Z", "Z0700": "%z",
    "Z07:00": "%:z", "-0700": "%z", "-07:00": "%:z",
}  # fmt: skip
_LONG = "|".join(sorted(map(re.escape, _PARTS), key=len, reverse=True))
_LAYOUT = re.compile(rf"[.,](?:0+|9+)(?!\d)|{_LONG}|[12345]|_2")
_READ = {"1": "%m", "2": "%d", "_2": "%d", "3": "%I", "4": "%M", "5": "%S"}
_SHORT = {"1": "month", "2": "day", "_2": "day", "3": "hour12", "4": "minute", "5": "second"}


def moment(value: Any) -> int:
    """A time of a template: nanoseconds. Raises: TypeError."""
    if not isinstance(value, int):
        raise TypeError(f"{value!r} is no time")
    return value


def go_layout(layout: str, time_ns: int) -> str:
    """A time in UTC by a layout."""
    at = datetime.fromtimestamp(time_ns // 10**9, UTC)
    fields = {"month": at.month, "day": at.day, "hour12": at.hour % 12 or 12, "minute": at.minute, "second": at.second}

    def part(match: re.Match[str]) -> str:
        text = match.group()
        if text[0] in ".,":
            digits = f"{time_ns % 10**9:09d}"[: len(text) - 1]
            kept = digits.rstrip("0") if text[1] == "9" else digits
            return text[0] + kept if kept else ""
        if text in _SHORT:
            return f"{fields[_SHORT[text]]:>2}" if text == "_2" else str(fields[_SHORT[text]])
        if text.startswith("Z07"):
            return "Z"
        return "+00:00" if text == "-07:00" else at.strftime(_PARTS[text])

    return _LAYOUT.sub(part, layout)


def parse_layout(layout: str, text: str, zone: str = "UTC") -> int:
    """The time that a text is by a layout. Raises: ValueError."""
    fraction = 0

    def part(match: re.Match[str]) -> str:
        found = match.group()
        return "" if found[0] in ".," else (_PARTS.get(found) or _READ[found]).replace("%:z", "%z")

    subsecond = re.search(r"(?<=\d)[.,](\d{1,9})", text) if re.search(r"[.,](0+|9+)", layout) else None
    if subsecond:
        fraction = int(subsecond.group(1).ljust(9, "0"))
        text = text[: subsecond.start()] + text[subsecond.end() :]
    read = datetime.strptime(text.strip(), _LAYOUT.sub(part, layout).strip())
    if read.tzinfo is None:
        read = read.replace(tzinfo=ZoneInfo(zone))
    return int(read.timestamp()) * 10**9 + fraction
