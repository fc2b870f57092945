"""Parameters of Loki's API: times, durations and lists, from the query string or a form.

Source: Loki, "HTTP API", Timestamps: nanoseconds, seconds with a fraction, or RFC 3339.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import parse_qs

from starlette.requests import Request

from obs.errors import QueryError
from obs.logstore import limits
from obs.logstore.logql.units import LONGEST_NS, duration_ns
from obs.logstore.selection import ALL_TIME

NS = 1_000_000_000
HOUR_NS = 3600 * NS
_FRACTION = re.compile(r":\d\d[.,](\d+)")  # of a second: datetime keeps microseconds only
_SECONDS_DIGITS = 10  # whole numbers up to this long are seconds, as in Loki


@dataclass(frozen=True, slots=True)
class Params:
    """One request's parameters; a name may come several times."""

    values: Mapping[str, Sequence[str]]
    now_ns: int

    def text(self, name: str, default: str | None = None) -> str:
        """A parameter, the last one given. Raises: QueryError where it is missing without a default."""
        given = self.values.get(name)
        if given:
            return given[-1]
        if default is None:
            raise QueryError(f"cannot answer without parameter {name!r}: it is missing")
        return default

    def all(self, *names: str) -> list[str]:
        """All values of a parameter, under any of its names."""
        return [value for name in names for value in self.values.get(name, ())]

    def whole(self, name: str, default: int) -> int:
        """A whole number. Raises: QueryError."""
        text = self.text(name, "")
        if not text:
            return default
        try:
            return int(text)
        except ValueError:
            raise QueryError(f"cannot read {name} {text[:40]!r}: it is not a whole number") from None

    def time_ns(self, name: str, default_ns: int) -> int:
        """A time. Raises: QueryError."""
        text = self.text(name, "")
        return time_ns(name, text) if text else default_ns

    def span(self, since_ns: int = HOUR_NS) -> tuple[int, int]:
        """`start` and `end`; the end is now, the start `since` before it, unless given."""
        end = self.time_ns("end", self.now_ns)
        since = self.text("since", "")
        start = self.time_ns("start", min(end, self.now_ns) - (duration("since", since) if since else since_ns))
        if end < start:
            raise QueryError("cannot search: the end is before the start")
        return start, end

    def step_ns(self, start_ns: int, end_ns: int) -> int:
        """`step`; unless given about 250 steps, a second at least, as in Loki."""
        text = self.text("step", "")
        return duration("step", text) if text else max((end_ns - start_ns) // 250 // NS * NS, NS)

    def newest_first(self) -> bool:
        """`direction`. Raises: QueryError."""
        direction = self.text("direction", "backward").lower()
        if direction not in ("backward", "forward"):
            raise QueryError(f"cannot search in direction {direction!r}: known values are backward, forward")
        return direction == "backward"

    def limit(self, name: str = "limit", default: int = limits.DEFAULT_ENTRIES) -> int:
        """How many lines, series or fields. Raises: QueryError."""
        found = self.whole(name, default)
        if found < 1:
            raise QueryError(f"cannot answer with {name} {found}: it must be above zero")
        return found


def time_ns(name: str, text: str) -> int:
    """A time as Loki reads it; what 64 bits cannot hold becomes the first or last time. Raises: QueryError."""
    try:
        if "." in text or "e" in text.lower():
            fraction, whole = math.modf(float(text))
            found = int(whole) * NS + round(fraction * NS)
        else:
            found = int(text) * (NS if len(text.lstrip("-")) <= _SECONDS_DIGITS else 1)
    except (ValueError, OverflowError):
        found = _rfc3339(name, text)
    return min(max(found, ALL_TIME[0]), ALL_TIME[1])


def _rfc3339(name: str, text: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        moment = moment if moment.tzinfo else moment.astimezone()
        seconds = round(moment.replace(microsecond=0).timestamp())
    except (ValueError, OverflowError):
        raise QueryError(
            f"cannot read {name} {text[:40]!r}: it is no time in nanoseconds, seconds or RFC 3339"
        ) from None
    fraction = _FRACTION.search(text)
    return seconds * NS + (int(fraction.group(1)[:9].ljust(9, "0")) if fraction else 0)


def duration(name: str, text: str) -> int:
    """A duration (`30s`) or a number of seconds, in nanoseconds, at most 292 years. Raises: QueryError."""
    try:
        return min(max(round(float(text) * NS), -LONGEST_NS), LONGEST_NS)
    except (ValueError, OverflowError):
        pass
    try:
        return duration_ns(text)
    except ValueError:
        raise QueryError(f"cannot read {name} {text[:40]!r}: it is not like 30s or 1h30m") from None


async def read_params(request: Request) -> Params:
    """The parameters of a request, from its address and, for POST, its form."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    if request.method == "POST":
        form = parse_qs((await request.body()).decode("utf-8", "replace"), keep_blank_values=True)
        for name, values in form.items():
            found.setdefault(name, []).extend(values)
    return Params(found, time.time_ns())
