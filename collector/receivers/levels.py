"""The level that a line of text speaks of, for senders that say none beside it: a field of JSON or logfmt, or a word.

Source: Loki, "Log level detection": what `detected_level` is made of.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

SEVERITIES: Mapping[str, int] = {
    "trace": 1, "finest": 1, "verbose": 1, "debug": 5, "fine": 5, "info": 9, "information": 9, "informational": 9,
    "notice": 10, "warn": 13, "warning": 13, "error": 17, "err": 17, "severe": 17, "critical": 18, "crit": 18,
    "alert": 19, "fatal": 21, "panic": 21, "emerg": 21, "emergency": 21,
}  # fmt: skip
"""Words for levels → OTLP's severity numbers. Source: opentelemetry.io/docs/specs/otel/logs/data-model-appendix."""

LOOKED_AT = 400
"""Characters of a line in which its level is looked for: it stands in front of what the line tells."""

_FIELD = re.compile(r"(?<![\w.])[\"']?(?:level|lvl|severity|log_?level|levelname)[\"']?\s*[=:]\s*[\"']?([a-z]+)", re.I)
_WORDS = "trace|debug|info|notice|warn|warning|error|err|critical|fatal|panic"
_WORD = re.compile(rf"(?<!\w)(?:({_WORDS.upper()})(?!\w)|({_WORDS})(?=\s*[\])>:]))")

_NAMED, _STEMS = (
    ("level", "lvl", "severity"),
    ("trace", "debug", "info", "notice", "warn", "err", "crit", "fatal", "panic"),
)
"""Some of these is in every line that the patterns match: looking for them costs a tenth of a search."""


def severity(level: str) -> int:
    """OTLP's number of a word for a level; 0 where it is none."""
    return SEVERITIES.get(level.strip().lower(), 0)


def line_severity(line: str) -> int:
    """OTLP's number of the level, 0 where the line names none."""
    line = line[:LOOKED_AT]
    folded = line.lower()
    field = _FIELD.search(line) if any(name in folded for name in _NAMED) else None
    found = SEVERITIES.get(field[1].lower(), 0) if field else 0
    if found:
        return found
    word = _WORD.search(line) if any(stem in folded for stem in _STEMS) else None
    return SEVERITIES[(word[1] or word[2]).lower()] if word else 0
