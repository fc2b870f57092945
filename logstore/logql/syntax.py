"""What a LogQL text says, as frozen values; `str` writes each back in canonical form.

parse.py makes these, plan.py reads them. One class a construct of grammar.lark.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum

from obs.logstore.logql.stage_syntax import LabelStage, Unwrap, quoted
from obs.logstore.logql.units import duration_text
from obs.model.labels import Matcher


class LineOp(Enum):
    """How a line filter tests the line."""

    CONTAINS = "|="
    LACKS = "!="
    MATCHES = "|~"
    DIFFERS = "!~"

    @property
    def is_regex(self) -> bool:
        """Whether the values are regexes."""
        return self in (LineOp.MATCHES, LineOp.DIFFERS)

    @property
    def negated(self) -> bool:
        """Whether it keeps the lines without a match."""
        return self in (LineOp.LACKS, LineOp.DIFFERS)


@dataclass(frozen=True, slots=True)
class LineFilter:
    """Keep lines by text or by an address of a range in them; of several any may match (negated: none may)."""

    op: LineOp
    values: tuple[str, ...]
    addresses: tuple[str, ...] = ()  # each one address, first-last, or CIDR

    def __str__(self) -> str:
        said = (*map(quoted, self.values), *(f"ip({quoted(a)})" for a in self.addresses))
        return f"{self.op.value} {' or '.join(said)}"


@dataclass(frozen=True, slots=True)
class FullText:
    """Keep records that hold all words or phrases, whole and in either case, in the body or any attribute."""

    phrases: tuple[str, ...]

    def __str__(self) -> str:
        return " ".join(json.dumps(p, ensure_ascii=False) for p in self.phrases)


class Unit(Enum):
    """What a label filter's value measures."""

    TEXT = "text"
    NUMBER = "number"
    DURATION = "duration"  # seconds
    BYTES = "bytes"
    ADDRESS = "address"  # a range of addresses


@dataclass(frozen=True, slots=True)
class Comparison:
    """A label against a text, a number, a duration or a size; `written` is the value as typed."""

    name: str
    op: str  # = != =~ !~ for TEXT, == != > >= < <= for the rest
    unit: Unit
    text: str
    number: float
    written: str

    def __str__(self) -> str:
        return f"{self.name} {self.op} {self.written}"


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " and ".join(f"({p})" if isinstance(p, AnyOf) else str(p) for p in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """Some part holds."""

    parts: tuple[Condition, ...]

    def __str__(self) -> str:
        return " or ".join(str(p) for p in self.parts)


Condition = Comparison | AllOf | AnyOf


@dataclass(frozen=True, slots=True)
class LabelFilter:
    """Keep records by their labels."""

    condition: Condition

    def __str__(self) -> str:
        return f"| {self.condition}"


@dataclass(frozen=True, slots=True)
class JsonParser:
    """Make labels of a JSON line: all of it, or `name = path` pairs."""

    extractions: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return (
            "| json " + ", ".join(f"{n}={json.dumps(p)}" for n, p in self.extractions) if self.extractions else "| json"
        )


@dataclass(frozen=True, slots=True)
class LogfmtParser:
    """Make labels of `key=value` pairs: all of them, or `name = key` pairs."""

    extractions: tuple[tuple[str, str], ...] = ()
    keep_empty: bool = False
    strict: bool = False

    def __str__(self) -> str:
        flag = (" --strict" if self.strict else "") + (" --keep-empty" if self.keep_empty else "")
        return (f"| logfmt{flag} " + ", ".join(f"{n}={json.dumps(p)}" for n, p in self.extractions)).rstrip()


Stage = LineFilter | FullText | LabelFilter | JsonParser | LogfmtParser | LabelStage


@dataclass(frozen=True, slots=True)
class LogQuery:
    """A selector and its stages, in order."""

    matchers: tuple[Matcher, ...]
    stages: tuple[Stage, ...]

    def __str__(self) -> str:
        inner = ", ".join(f"{m.name}{m.op.value}{json.dumps(m.value, ensure_ascii=False)}" for m in self.matchers)
        return " ".join(["{" + inner + "}", *map(str, self.stages)])


@dataclass(frozen=True, slots=True)
class Grouping:
    """`by (names)`, or `without (names)`."""

    names: tuple[str, ...]
    without: bool = False

    def __str__(self) -> str:
        return f"{'without' if self.without else 'by'} ({', '.join(self.names)})"


@dataclass(frozen=True, slots=True)
class LogRange:
    """`query [range] offset o`: records by windows, perhaps with a label that is worked on."""

    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None
    after: tuple[Stage, ...] = ()  # stages behind unwrap: filters of what it could not read

    def __str__(self) -> str:
        offset = f" offset {duration_text(self.offset_ns)}" if self.offset_ns else ""
        stages = " ".join(map(str, (self.query, *([self.unwrap] if self.unwrap else []), *self.after)))
        return f"{stages} [{duration_text(self.range_ns)}]{offset}"


@dataclass(frozen=True, slots=True)
class RangeAggregation:
    """`op(query [range] offset o)`; the window at t is (t - offset - range, t - offset]."""

    op: str
    query: LogQuery
    range_ns: int
    offset_ns: int = 0
    unwrap: Unwrap | None = None
    after: tuple[Stage, ...] = ()  # stages behind unwrap: filters of what it could not read
    grouping: Grouping | None = None
    parameter: float | None = None  # the quantile

    def __str__(self) -> str:
        lead = f"{self.parameter}, " if self.parameter is not None else ""
        group = f" {self.grouping}" if self.grouping else ""
        windows = LogRange(self.query, self.range_ns, self.offset_ns, self.unwrap, self.after)
        return f"{self.op}({lead}{windows}){group}"


@dataclass(frozen=True, slots=True)
class VectorAggregation:
    """`op grouping (inner)`; `parameter` is topk's k."""

    op: str
    inner: Metric
    grouping: Grouping | None = None
    parameter: int | None = None

    def __str__(self) -> str:
        group = f" {self.grouping} " if self.grouping else ""
        lead = f"{self.parameter}, " if self.parameter is not None else ""
        return f"{self.op}{group}({lead}{self.inner})"


@dataclass(frozen=True, slots=True)
class Number:
    """A scalar, or `vector(n)`: one element without labels."""

    value: float
    vector: bool = False

    def __str__(self) -> str:
        text = str(int(self.value)) if self.value.is_integer() and abs(self.value) < 1e15 else repr(self.value)
        return f"vector({text})" if self.vector else text


@dataclass(frozen=True, slots=True)
class Binary:
    """`left op right`; `returns_bool` makes a comparison 0 or 1 instead of a filter."""

    op: str
    left: Metric
    right: Metric
    returns_bool: bool = False
    matching: Matching | None = None

    def __str__(self) -> str:
        on = f" {self.matching}" if self.matching else ""
        return f"({self.left} {self.op}{' bool' if self.returns_bool else ''}{on} {self.right})"


@dataclass(frozen=True, slots=True)
class Matching:
    """Which labels pair rows: `on` these, or all but these; `group` is the side with many rows, "" for one to one."""

    names: tuple[str, ...]
    on: bool
    group: str = ""  # "left" or "right"
    include: tuple[str, ...] = ()

    def __str__(self) -> str:
        pair = f"{'on' if self.on else 'ignoring'} ({', '.join(self.names)})"
        return f"{pair} group_{self.group} ({', '.join(self.include)})" if self.group else pair


@dataclass(frozen=True, slots=True)
class LabelReplace:
    """A label made from another by a regex."""

    inner: Metric
    to: str
    replacement: str
    source: str
    pattern: str

    def __str__(self) -> str:
        rest = ", ".join(
            json.dumps(t, ensure_ascii=False) for t in (self.to, self.replacement, self.source, self.pattern)
        )
        return f"label_replace({self.inner}, {rest})"


@dataclass(frozen=True, slots=True)
class Variants:
    """Several metrics of the same records, told apart by `__variant__`; each sees what `of` lets through."""

    inner: tuple[Metric, ...]
    of: LogRange

    def __str__(self) -> str:
        return f"variants({', '.join(map(str, self.inner))}) of ({self.of})"


Metric = RangeAggregation | VectorAggregation | Number | Binary | LabelReplace | Variants
Query = LogQuery | Metric
