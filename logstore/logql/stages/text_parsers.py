"""`| regexp`, `| pattern`, `| unpack`: labels from named groups, from between literals, from what an agent packed."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc

from obs.logstore.chunks import Rows
from obs.logstore.logql.stage_syntax import PatternParser, RegexpParser, Unpack
from obs.logstore.logql.stages.errors import JSON, error_of
from obs.logstore.logql.stages.json_parser import read_object
from obs.logstore.logql.stages.made_labels import parsed_rows, with_found
from obs.logstore.names import label_name
from obs.logstore.selection import Requirement

NAMED = re.compile(r"<(\w+)>")
ENTRY = "_entry"


_GROUPS = re.compile(
    r"\\Q.*?(?:\\E|$)|\\."  # quoted texts and escapes
    r"|\[\^?\]?(?:\\.|\[:\^?\w+:\]|[^\]\\])*\]"  # classes of characters
    r"|\((?!\?)|\(\?<(?![=!])",  # groups: without a name, or in the newer form
    re.DOTALL,
)


def only_named(pattern: str) -> str:
    """A regex whose groups without a name capture nothing, and names in RE2's older form: all that Arrow takes."""
    return _GROUPS.sub(lambda m: {"(": "(?:", "(?<": "(?P<"}.get(m[0], m[0]), pattern)


class _Parser:
    """What all of them have in common."""

    makes_labels = True

    def requirements(self) -> tuple[Requirement, ...]:
        """Parsing keeps every row."""
        return ()


class RegexpStage(_Parser):
    """Named groups, by RE2."""

    def __init__(self, syntax: RegexpParser) -> None:
        self._pattern = only_named(syntax.pattern)

    def apply(self, rows: Rows) -> Rows:
        """All lines at once; a line without a match keeps its labels."""
        lines = rows.line().dictionary_encode()
        found = pc.extract_regex(lines.dictionary, self._pattern)
        labels = {}
        for field in found.type:
            values = pc.struct_field(found, field.name)
            values = pc.if_else(pc.equal(values, ""), pa.scalar(None, pa.string()), values)
            labels[field.name] = values.take(lines.indices)
        return with_found(rows, labels)


class PatternStage(_Parser):
    """Captures between literals, left to right."""

    def __init__(self, syntax: PatternParser) -> None:
        parts = NAMED.split(syntax.pattern)
        self._lead = parts[0]
        self._captures = list(zip(parts[1::2], parts[2::2], strict=True))  # name, the literal behind it

    def apply(self, rows: Rows) -> Rows:
        """Parse each distinct line once."""
        return parsed_rows(rows, self._labels)

    def _labels(self, line: str) -> Mapping[str, str]:
        if not line.startswith(self._lead):
            return {}
        at, found = len(self._lead), {}
        for name, behind in self._captures:
            end = line.find(behind, at) if behind else len(line)
            lost, end = end < 0, len(line) if end < 0 else end
            if name != "_":
                found[name] = line[at:end]
            if lost:
                break
            at = end + len(behind)
        return found


class UnpackStage(_Parser):
    """Texts of a JSON object; `_entry` becomes the line."""

    def __init__(self, syntax: Unpack) -> None:
        self._syntax = syntax

    def apply(self, rows: Rows) -> Rows:
        """Parse each distinct line once."""
        labelled = parsed_rows(rows, _packed)
        distinct = rows.line().dictionary_encode()
        entries = pa.array([_entry(line) for line in distinct.dictionary.to_pylist()], pa.string())
        return labelled.with_line(entries.take(distinct.indices))


def _packed(line: str) -> Mapping[str, str]:
    value = read_object(line)
    if isinstance(value, str):
        return error_of(JSON, value)
    return {label_name(k): v for k, v in value.items() if isinstance(v, str) and k != ENTRY}


def _entry(line: str) -> str:
    value = read_object(line)
    entry = None if isinstance(value, str) else value.get(ENTRY)
    return entry if isinstance(entry, str) else line
