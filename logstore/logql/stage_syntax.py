"""Stages that make, change and hide labels or lines, as frozen values; `str` writes each back. See syntax.py."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from obs.model.labels import Matcher


def quoted(text: str) -> str:
    """A text as LogQL reads it back."""
    return json.dumps(text, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class PatternFilter:
    """Keep lines that are like some pattern, in which `<_>` stands for anything."""

    patterns: tuple[str, ...]
    negated: bool

    def __str__(self) -> str:
        return f"{'!>' if self.negated else '|>'} " + " or ".join(map(quoted, self.patterns))


@dataclass(frozen=True, slots=True)
class IpLineFilter:
    """Keep lines that hold an address of a range."""

    addresses: str  # one address, first-last, or CIDR
    negated: bool

    def __str__(self) -> str:
        return f"{'!=' if self.negated else '|='} ip({quoted(self.addresses)})"


@dataclass(frozen=True, slots=True)
class RegexpParser:
    """Make a label of each named group."""

    pattern: str

    def __str__(self) -> str:
        return f"| regexp {quoted(self.pattern)}"


@dataclass(frozen=True, slots=True)
class PatternParser:
    """Make a label of each `<name>` between literals."""

    pattern: str

    def __str__(self) -> str:
        return f"| pattern {quoted(self.pattern)}"


@dataclass(frozen=True, slots=True)
class Unpack:
    """Make labels of what an agent packed into the line, and the line of `_entry`."""

    def __str__(self) -> str:
        return "| unpack"


@dataclass(frozen=True, slots=True)
class Decolorize:
    """Take the colour sequences of terminals out of the line."""

    def __str__(self) -> str:
        return "| decolorize"


@dataclass(frozen=True, slots=True)
class LineFormat:
    """The line is a template's text."""

    template: str

    def __str__(self) -> str:
        return f"| line_format {quoted(self.template)}"


@dataclass(frozen=True, slots=True)
class LabelFormat:
    """Labels take the name of others (`is_name`), or a template's text."""

    changes: tuple[tuple[str, str, bool], ...]  # label, name or template, whether it is a name

    def __str__(self) -> str:
        parts = (f"{to}={what if is_name else quoted(what)}" for to, what, is_name in self.changes)
        return f"| label_format {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class Pick:
    """`drop` or `keep` labels by name, or where they match."""

    names: tuple[str, ...]
    matchers: tuple[Matcher, ...]
    drops: bool

    def __str__(self) -> str:
        parts = (*self.names, *(f"{m.name}{m.op.value}{quoted(m.value)}" for m in self.matchers))
        return f"| {'drop' if self.drops else 'keep'} {', '.join(parts)}"


class Conversion(Enum):
    """How `unwrap` reads a label."""

    NUMBER = ""
    DURATION = "duration"  # seconds
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Unwrap:
    """The label whose value range aggregations work on."""

    name: str
    conversion: Conversion

    def __str__(self) -> str:
        inner = f"{self.conversion.value}({self.name})" if self.conversion.value else self.name
        return f"| unwrap {inner}"


LabelStage = (
    PatternFilter | IpLineFilter | RegexpParser | PatternParser | Unpack | Decolorize | LineFormat | LabelFormat | Pick
)
