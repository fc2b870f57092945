"""OpenMetrics and Prometheus text by `obs.exposition`: some hundred lines at a time, one by one where any is faulty.

Whether times are seconds (OpenMetrics) or milliseconds (Prometheus's text) is seen from the first one. Exemplars are
not taken. Several pages, each with its `# EOF`, may stand one behind the other.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator
from itertools import islice

from obs.exposition.text import ExpositionError, Page, parse, series_labels
from obs.interchange.faults import Faults, Unreadable
from obs.interchange.limits import FIRST_MS, LAST_MS
from obs.interchange.pieces import Draft, Family, LabelSets, Piece
from obs.model.labels import Labels

LINES = 500
"""Lines read at one time; all of them are read once more where one of them is faulty."""

SECONDS_BELOW = 10**11
"""Whole times below this are seconds: as milliseconds they would be before March 1973."""

_END = "\n# EOF\n"
_TIME = re.compile(r"\s(\S+)\s+(-?[\d.]+(?:[eE][+-]?\d+)?)\s*(?:# \{.*)?$")
_WHERE = re.compile(r"^column (\d+)[^:]*: ")
_QUOTED = re.compile(r"^(?:'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")")

Line = tuple[int, bytes]


def read(file: str, lines: Iterable[Line], sets: LabelSets, faults: Faults) -> Iterator[Piece]:
    """Pieces of the samples, the last with what is said of the families; faulty lines go to `faults`."""
    reading = _Reading(file, sets, faults)
    rest = (line for line in lines if line[1] != b"# EOF")
    while few := list(islice(rest, LINES)):
        reading.add(few)
        if reading.draft.is_full:
            yield reading.draft.take()
    yield reading.draft.take(tuple(reading.families.values()))


class _Reading:
    """One file."""

    def __init__(self, file: str, sets: LabelSets, faults: Faults) -> None:
        self.draft = Draft()
        self.families: dict[str, Family] = {}
        self._file, self._sets, self._faults = file, sets, faults
        self._in_seconds: bool | None = None
        self._now_ms = time.time_ns() // 1_000_000

    def add(self, few: list[Line]) -> None:
        """Some lines, all at once where they are sound."""
        if self._in_seconds is None:
            self._in_seconds = next(filter(lambda found: found is not None, map(_in_seconds, few)), None)
        try:
            page = self._parsed(b"\n".join(line for _, line in few).decode())
            places = [self._place(row.series) for row in page.rows]
            times = [self._time(row.t_ms) for row in page.rows]
        except (ValueError, OverflowError, ExpositionError, Unreadable):
            for line in few:
                self._add_one(line)
            return
        self.draft.which += places
        self.draft.t_ms += times
        self.draft.values += [row.value for row in page.rows]
        self._describe(page)

    def _add_one(self, line: Line) -> None:
        number, raw = line
        text = raw.decode("utf-8", "replace")
        try:
            if "�" in text:
                raise Unreadable("line", text, "it is not UTF-8", text.index("�") + 1)
            page = self._parsed(text)
            for row in page.rows:
                place, t_ms = self._place(row.series), self._time(row.t_ms)
                self.draft.which.append(place)
                self.draft.t_ms.append(t_ms)
                self.draft.values.append(row.value)
            self._describe(page)
        except ExpositionError as e:
            self._faults.add(self._file, number, _fault(text, str(e)))
        except (ValueError, OverflowError):
            self._faults.add(self._file, number, Unreadable("line", text, "its time is no time"))
        except Unreadable as e:
            self._faults.add(self._file, number, e)

    def _parsed(self, text: str) -> Page:
        """Rows, their times in milliseconds."""
        return parse(text + _END, True) if self._in_seconds else parse(text, False)

    def _place(self, series: str) -> int:
        place = self.draft.places.get(series)
        return self.draft.place(series, lambda: self._labels(series)) if place is None else place

    def _labels(self, series: str) -> Labels:
        return self._sets.make(series_labels(series), series)

    def _time(self, t_ms: int | None) -> int:
        if t_ms is None:
            return self._now_ms
        if not FIRST_MS <= t_ms <= LAST_MS:
            raise Unreadable("time", str(t_ms), "it is past what 64 bits of milliseconds hold")
        return t_ms

    def _describe(self, page: Page) -> None:
        for name, said in page.families.items():
            _, kind, unit, help_ = self.families.get(name, (name, "unknown", "", ""))
            said_kind = kind if said.kind == "unknown" else said.kind
            self.families[name] = (name, said_kind, said.unit or unit, said.help or help_)


def _in_seconds(line: Line) -> bool | None:
    """What the time of a line is; None where it has none."""
    text = line[1].decode("utf-8", "replace")
    found = None if text.startswith("#") else _TIME.search(text[text.rfind("}") + 1 :] if " # {" not in text else text)
    if found is None:
        return None
    digits = found[2].lstrip("-")
    return not digits.isdigit() or int(digits) < SECONDS_BELOW


def _fault(line: str, said: str) -> Unreadable:
    """A fault of the parser's without what stands in the line anyway."""
    cause = said.partition(f"{line[:100]!r}: ")[2] or said.rpartition(": ")[2]
    where = _WHERE.match(cause)
    cause = _QUOTED.sub("it", cause[where.end() :] if where else cause)
    return Unreadable("line", line, cause, int(where[1]) if where else 1)
