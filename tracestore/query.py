"""What a search asks for, and what it answers: plain values, the same for every API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from obs.errors import UserError
from obs.tracestore import limits
from obs.tracestore.expressions import Attribute, Compare, Expr, Intrinsic, Or, all_of
from obs.tracestore.names import KINDS, NO_SERVICE, STATUSES

Order = Literal["start", "duration", "spans", "errors"]
MAX_NS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """Traces with one span that satisfies every condition and starts in start_ns <= t <= end_ns.

    `tags` compare as a user types them; `where` is any further condition. Ordered over the whole range.
    """

    service: str | None = None
    operation: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    min_duration_ns: int | None = None
    max_duration_ns: int | None = None
    start_ns: int = -(2**63)
    end_ns: int = MAX_NS
    status: str | None = None
    limit: int = limits.DEFAULT_LIMIT
    order: Order = "start"
    descending: bool = True
    after: str | None = None  # the token of the page before
    where: Expr | None = None

    def __post_init__(self) -> None:
        """Raises: UserError where a value cannot be."""
        if self.order not in ("start", "duration", "spans", "errors"):
            raise UserError(f"cannot order by {self.order!r}: known are start, duration, spans, errors")
        if not 0 <= self.limit <= limits.MAX_LIMIT:
            raise UserError(
                f"cannot answer with {self.limit} traces: the limit is 0 to {limits.MAX_LIMIT}; ask for pages"
            )
        if self.status is not None and self.status not in STATUSES:
            raise UserError(f"cannot search for status {self.status!r}: known are {', '.join(STATUSES)}")

    def expression(self) -> Expr | None:
        """All conditions on the span but the time."""
        service = service_condition(self.service) if self.service else None
        operation = _equal(Intrinsic("name"), self.operation)
        status = None if self.status is None else Compare(Intrinsic("status"), "=", STATUSES.index(self.status))
        shortest = _bound(">=", self.min_duration_ns)
        longest = _bound("<=", self.max_duration_ns)
        tags = [tag_condition(key, value) for key, value in self.tags.items()]
        return all_of([service, operation, status, shortest, longest, *tags, self.where])


def service_condition(service: str) -> Expr:
    """Spans of a service; the name that stands for those without one finds these too."""
    named = Attribute("resource", "service.name")
    found = Compare(named, "=", service)
    return Or((found, Compare(named, "=", None))) if service == NO_SERVICE else found


def _equal(field_: Intrinsic, value: str | None) -> Expr | None:
    return None if not value else Compare(field_, "=", value)


def _bound(op: str, value: int | None) -> Expr | None:
    return None if value is None else Compare(Intrinsic("duration"), op, value)


def tag_condition(key: str, value: str) -> Expr:
    """A tag as Jaeger and Zipkin mean it: an attribute of any scope, or one of the fields they show as tags.

    Source: OpenTelemetry, "Transformation to Jaeger": span.kind, error, otel.status_code, otel.scope.name.
    """
    if key == "error" and value in ("true", "false"):
        return Compare(Intrinsic("status"), "=" if value == "true" else "!=", STATUSES.index("error"))
    if key == "span.kind" and value.lower() in KINDS:
        return Compare(Intrinsic("kind"), "=", KINDS.index(value.lower()))
    if key == "otel.status_code" and value.lower() in STATUSES:
        return Compare(Intrinsic("status"), "=", STATUSES.index(value.lower()))
    fixed = {
        "otel.scope.name": "scopeName", "otel.library.name": "scopeName", "otel.scope.version": "scopeVersion",
        "otel.library.version": "scopeVersion", "otel.status_description": "statusMessage",
    }.get(key)  # fmt: skip
    if fixed is not None:
        return Compare(Intrinsic(fixed), "=", value)
    return Compare(Attribute(None, key), "=", value, loose=True)


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace of a search's answer."""

    trace_id: bytes
    root_service: str
    root_name: str
    start_ns: int
    duration_ns: int
    spans: int
    errors: int
    services: Sequence[str]


@dataclass(slots=True)
class ReadStats:
    """What an answer took to find."""

    rows_read: int = 0
    rows_head: int = 0
    blocks_read: int = 0
    blocks_skipped: int = 0
    row_groups_read: int = 0
    traces_matched: int = 0  # at least: the newest may be found without reading every block
    traces_joined: int = 0  # put together from several places

    def as_dict(self) -> dict[str, int]:
        """By name."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Found:
    """Summaries in the order asked for; `next` continues after them, None where there are no more."""

    traces: Sequence[TraceSummary]
    stats: ReadStats
    next: str | None = None
