"""The output of `promtool tsdb dump`: one `{labels} value t_ms` a line, labels quoted as Go quotes strings.

Source: prometheus/cmd/promtool tsdb.go, "dumpSamples"; model/labels, "String".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from obs.interchange.faults import Faults, Unreadable
from obs.interchange.limits import FIRST_MS, LAST_MS
from obs.interchange.pieces import Draft, LabelSets, Piece
from obs.model.labels import Labels
from obs.model.quoting import unquoted

_STRING = r'"(?:\\.|[^"\\])*"'
_PAIR = re.compile(rf"(?:({_STRING})|([^\s=\",{{}}]+))=({_STRING})(?:, ?|$)", re.DOTALL)
_LABELS = re.compile(rf"\{{(?:[^\"}}]|{_STRING})*\}}", re.DOTALL)


def read(file: str, lines: Iterable[tuple[int, bytes]], sets: LabelSets, faults: Faults) -> Iterator[Piece]:
    """Pieces of the samples; lines that are none go to `faults`."""
    draft = Draft()
    for number, line in lines:
        head, _, time = line.rpartition(b" ")
        head, _, value = head.rpartition(b" ")
        try:
            t_ms, sample = int(time), float(value)
            if not FIRST_MS <= t_ms <= LAST_MS or b"_" in value:
                raise ValueError
            place = draft.places.get(head)
            if place is None:
                place = draft.place(head, lambda head=head: labels(head, sets))  # type: ignore[misc]
        except ValueError:
            if line.strip():
                faults.add(file, number, why(line))
            continue
        except Unreadable as e:
            faults.add(file, number, e)
            continue
        draft.which.append(place)
        draft.t_ms.append(t_ms)
        draft.values.append(sample)
        if draft.is_full:
            yield draft.take()
    yield draft.take()


def labels(head: bytes, sets: LabelSets) -> Labels:
    """`{a="b", c="d"}` as labels. Raises: Unreadable."""
    text = head.decode("utf-8", "surrogateescape")
    if not (text.startswith("{") and text.endswith("}")):
        raise Unreadable("labels", text, "they do not stand between { and }")
    pairs, at, end = [], 1, len(text) - 1
    while at < end:
        found = _PAIR.match(text, at, end)
        if found is None:
            raise Unreadable("labels", text[at:end], 'this is no name="value"', at + 1)
        quoted, name, value = found.groups()
        pairs.append((unquoted(quoted) if quoted else name, unquoted(value)))
        at = found.end()
    try:
        "".join(name + value for name, value in pairs).encode()
    except UnicodeEncodeError:
        raise Unreadable("labels", text.encode("utf-8", "replace").decode(), "they are not UTF-8") from None
    return sets.make(pairs, text)


def why(line: bytes) -> Unreadable:
    """What is wrong with a line whose time or value is no number."""
    text = line.decode("utf-8", "replace")
    found = _LABELS.match(text)
    rest = text[found.end() :] if found else ""
    value, _, time = rest[1:].rpartition(" ")
    if found is None or not rest.startswith(" ") or not value:
        return Unreadable("line", text, "it is no `{labels} value t_ms`")
    at = found.end() + 2
    if value.startswith("{"):
        return Unreadable("value", value, "native histograms are not read from text", at)
    try:
        float(value.replace("_", "?"))
    except ValueError:
        return Unreadable("value", value, "it is no number", at)
    return Unreadable("time", time, "it is no number of milliseconds in 64 bits", at + len(value) + 1)
