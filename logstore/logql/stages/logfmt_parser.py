"""`| logfmt`: labels from `key=value key="quoted value"` pairs; a key alone has an empty value."""

from __future__ import annotations

import re
from collections.abc import Mapping

from obs.logstore.chunks import Rows
from obs.logstore.logql.stages.errors import LOGFMT, error_of
from obs.logstore.logql.stages.made_labels import Wanted, parsed_rows
from obs.logstore.logql.syntax import LogfmtParser
from obs.logstore.names import label_name
from obs.logstore.selection import Requirement

_PAIR = re.compile(r'([^\s="]+)(?:=(?:"((?:\\.|[^"\\])*)"|([^\s"]*)))?')
"""Source: Loki, "Parser expression", logfmt, and github.com/go-logfmt's grammar."""


_STRICT = re.compile(r'\s*(?:[^\s="]+(?:=(?:"(?:\\.|[^"\\])*"|[^\s"=]*))?(?:\s+|$))*')


def logfmt_pairs(line: str) -> dict[str, str]:
    """Values by key; a key alone has an empty one. Of a key that comes twice the first that is not empty is kept."""
    found: dict[str, str] = {}
    for key, quoted, bare in _PAIR.findall(line):
        if not found.get(key):
            found[key] = re.sub(r"\\(.)", r"\1", quoted) if quoted else bare
    return found


class LogfmtStage:
    """All pairs of the line, or the keys asked for."""

    makes_labels = True

    def __init__(self, syntax: LogfmtParser, wanted: Wanted | None = None) -> None:
        self._few = wanted
        self._wanted = dict(syntax.extractions)
        self._keep_empty, self._strict = syntax.keep_empty, syntax.strict

    def apply(self, rows: Rows) -> Rows:
        """Parse each distinct line once."""
        return parsed_rows(rows, self._labels, self._few)

    def requirements(self) -> tuple[Requirement, ...]:
        """Parsing keeps every row; the filters behind it may not."""
        return self._few.requires if self._few is not None and self._few.only else ()

    def _labels(self, line: str) -> Mapping[str, str]:
        if self._strict and not _STRICT.fullmatch(line):
            return error_of(LOGFMT, "the line is not key=value pairs throughout")
        pairs = {key: value for key, value in logfmt_pairs(line).items() if value or self._keep_empty}
        if self._wanted:
            return {name: pairs[key] for name, key in self._wanted.items() if key in pairs}
        found: dict[str, str] = {}
        for key, value in pairs.items():
            found.setdefault(label_name(key), value)
        return found
