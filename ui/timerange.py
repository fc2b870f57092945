"""Time ranges as people write them (`now-1h`, a date, a number) and the step to draw them with. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from obs.ui.view import View

UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
UNIT_NAMES = {"s": "second", "m": "minute", "h": "hour", "d": "day", "w": "week"}
PRESETS = (
    ("5m", "Last 5 minutes"), ("15m", "Last 15 minutes"), ("30m", "Last 30 minutes"), ("1h", "Last hour"),
    ("3h", "Last 3 hours"), ("6h", "Last 6 hours"), ("12h", "Last 12 hours"), ("24h", "Last 24 hours"),
    ("2d", "Last 2 days"), ("7d", "Last 7 days"), ("30d", "Last 30 days"),
)  # fmt: skip
DEFAULT = "now-1h"
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)
POINTS = 240
"""Points across a chart: about one every four pixels of a wide one."""
SCRAPE_S = 10
"""The agent's own interval; a finer step would only repeat points."""


@dataclass(frozen=True, slots=True)
class TimeRange:
    """A resolved range, seconds since 1970; `offset_s` is the reader's distance from UTC."""

    start_s: float
    end_s: float
    offset_s: int = 0

    @property
    def span_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s

    @property
    def step_s(self) -> int:
        """The step that gives about POINTS points."""
        wanted = max(self.span_s / POINTS, SCRAPE_S)
        return next((step for step in STEPS_S if step >= wanted), STEPS_S[-1])

    @property
    def window(self) -> str:
        """A window for `rate` that holds several samples and leaves none out between steps."""
        return f"{max(60, 2 * self.step_s)}s"

    @property
    def start_ns(self) -> int:
        """The start in nanoseconds."""
        return int(self.start_s * 1e9)

    @property
    def end_ns(self) -> int:
        """The end in nanoseconds."""
        return int(self.end_s * 1e9)

    def aligned(self) -> TimeRange:
        """Both ends on multiples of the step, so that points stay put while time goes on."""
        step = self.step_s
        return TimeRange(self.start_s // step * step, self.end_s // step * step, self.offset_s)


def parse_time(text: str, now_s: float, offset_s: int = 0) -> float:
    """Seconds since 1970 of `now`, `now-15m`, a Unix time, or a local date and time. Raises: ValueError."""
    text = text.strip()
    relative = re.fullmatch(r"now(?:\s*-\s*(\d+(?:\.\d+)?)([smhdw]))?", text)
    if relative:
        return now_s - (float(relative[1]) * UNITS_S[relative[2]] if relative[1] else 0.0)
    if re.fullmatch(r"-?\d{9,}(\.\d+)?", text):
        return float(text) / (1000.0 if len(text.split(".")[0]) > 11 else 1.0)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"cannot read time {text!r}: write now-2h, or 2026-01-31 09:30") from None
    zone = moment.tzinfo or timezone(timedelta(seconds=offset_s))
    return moment.replace(tzinfo=zone).timestamp()


def time_range(view: View, now_s: float, offset_s: int = 0) -> TimeRange:
    """The range a view asks for; what cannot be read or runs backwards becomes the default."""
    try:
        start = parse_time(view.get("from", DEFAULT), now_s, offset_s)
        end = parse_time(view.get("to", "now"), now_s, offset_s)
    except ValueError:
        start = end = 0.0
    if end <= start:
        start, end = parse_time(DEFAULT, now_s), now_s
    return TimeRange(start, end, offset_s)


def label(view: View, offset_s: int = 0) -> str:
    """What the time picker says."""
    start, end = view.get("from", DEFAULT), view.get("to", "now")
    known = {f"now-{preset}": text for preset, text in PRESETS}
    if end == "now" and start in known:
        return known[start]
    relative = re.fullmatch(r"now-(\d+)([smhdw])", start)
    if end == "now" and relative:
        return f"Last {relative[1]} {UNIT_NAMES[relative[2]]}" + ("s" if relative[1] != "1" else "")
    return f"{_moment(start, offset_s)} → {_moment(end, offset_s)}"


def _moment(text: str, offset_s: int) -> str:
    if text.startswith("now"):
        return text
    try:
        moment = datetime.fromtimestamp(parse_time(text, 0.0, offset_s), timezone(timedelta(seconds=offset_s)))
    except (ValueError, OverflowError, OSError):
        return text
    return moment.strftime("%b %d %H:%M:%S" if moment.second else "%b %d %H:%M")
