"""Policies as a configuration writes them: those of the OpenTelemetry Collector's tail sampling, by the same keys."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from obs.collector.processors.sampling import policies as p
from obs.collector.processors.sampling.span_tests import STATUSES, Number, Status, Text, Truth
from obs.errors import ConfigError
from obs.model.regex import compiled

KEY = "processors.tail_sampling.policies"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class LatencyPart(_Part):
    """`latency`."""

    threshold_ms: Annotated[float, Field(ge=0)]
    upper_threshold_ms: Annotated[float, Field(ge=0)] = 0  # 0: none


class StatusPart(_Part):
    """`status_code`."""

    status_codes: Annotated[list[str], Field(min_length=1)]


class StringPart(_Part):
    """`string_attribute`."""

    key: str
    values: Annotated[list[str], Field(min_length=1)]
    enabled_regex_matching: bool = False
    invert_match: bool = False


class NumericPart(_Part):
    """`numeric_attribute`."""

    key: str
    min_value: float = -math.inf
    max_value: float = math.inf
    invert_match: bool = False


class BooleanPart(_Part):
    """`boolean_attribute`."""

    key: str
    value: bool
    invert_match: bool = False


class SharePart(_Part):
    """`probabilistic`."""

    sampling_percentage: Annotated[float, Field(ge=0, le=100)]


class RatePart(_Part):
    """`rate_limiting`."""

    spans_per_second: Annotated[float, Field(gt=0)]


class CountPart(_Part):
    """`span_count`."""

    min_spans: Annotated[int, Field(ge=0)] = 0
    max_spans: Annotated[int, Field(ge=0)] = 0  # 0: none


class AllocationPart(_Part):
    """A composite's share for one of its policies."""

    policy: str
    percent: Annotated[float, Field(gt=0, le=100)]


class CompositePart(_Part):
    """`composite`."""

    max_total_spans_per_second: Annotated[float, Field(gt=0)]
    policy_order: list[str] = []
    composite_sub_policy: Annotated[list[PolicyPart], Field(min_length=1)]
    rate_allocation: list[AllocationPart] = []


class AndPart(_Part):
    """`and`."""

    and_sub_policy: Annotated[list[PolicyPart], Field(min_length=1)]


class PolicyPart(_Part):
    """One policy: its name, its type, and under the type's name what that needs."""

    name: str
    type: str
    latency: LatencyPart | None = None
    status_code: StatusPart | None = None
    string_attribute: StringPart | None = None
    numeric_attribute: NumericPart | None = None
    boolean_attribute: BooleanPart | None = None
    probabilistic: SharePart | None = None
    rate_limiting: RatePart | None = None
    span_count: CountPart | None = None
    composite: CompositePart | None = None
    and_: Annotated[AndPart | None, Field(alias="and")] = None


TYPES = ("always_sample", *(f.alias or n for n, f in PolicyPart.model_fields.items() if n not in ("name", "type")))


def parse(given: Sequence[Any]) -> dict[str, p.Policy]:
    """Policies by name, in their order. Raises: ConfigError that names the key."""
    found: dict[str, p.Policy] = {}
    for at, one in enumerate(given):
        key = f"{KEY}.{at}"
        try:
            part = PolicyPart.model_validate(one)
        except ValidationError as e:
            fault = e.errors()[0]
            path = ".".join([key, *map(str, fault["loc"])])
            raise ConfigError(f"{path}: cannot use {fault.get('input')!r}: {fault['msg']}") from None
        if part.name in found:
            raise ConfigError(f"{key}.name: cannot use {part.name!r}: another policy has it; give each its own")
        found[part.name] = _policy(part, key)
    return found


def _policy(part: PolicyPart, key: str) -> p.Policy:
    if part.type == "always_sample":
        return p.Always()
    if part.type not in TYPES:
        raise ConfigError(f"{key}.type: cannot use {part.type!r}: it is not known; known: {', '.join(TYPES)}")
    own = getattr(part, "and_" if part.type == "and" else part.type)
    if own is None:
        raise ConfigError(f"{key}.{part.type}: cannot make the policy without it: write what it needs under this key")
    return _MAKERS[type(own)](own, f"{key}.{part.type}")


def _status(part: StatusPart, key: str) -> p.Policy:
    unknown = [code for code in part.status_codes if code.upper() not in STATUSES]
    if unknown:
        raise ConfigError(f"{key}.status_codes: cannot use {unknown[0]!r}: known: {', '.join(STATUSES)}")
    return p.AnySpan(Status([STATUSES[code.upper()] for code in part.status_codes]))


def _string(part: StringPart, key: str) -> p.Policy:
    for value in part.values if part.enabled_regex_matching else ():
        try:
            compiled(value)
        except ValueError as e:
            raise ConfigError(f"{key}.values: {e}") from None
    return p.AnySpan(Text(part.key, part.values, part.enabled_regex_matching), part.invert_match)


def _and(part: AndPart, key: str) -> p.Policy:
    subs = part.and_sub_policy
    return p.And([_policy(sub, f"{key}.and_sub_policy.{at}") for at, sub in enumerate(subs)])


def _composite(part: CompositePart, key: str) -> p.Policy:
    subs = {
        sub.name: _policy(sub, f"{key}.composite_sub_policy.{at}") for at, sub in enumerate(part.composite_sub_policy)
    }
    shares = {share.policy: share.percent / 100 for share in part.rate_allocation}
    order = part.policy_order or list(subs)
    for name in (*order, *shares):
        if name not in subs:
            raise ConfigError(f"{key}: cannot use policy {name!r}: it is none of its own; known: {', '.join(subs)}")
    total = part.max_total_spans_per_second
    return p.Composite(
        [(subs[name], p.Budget(total * shares.get(name, 1 / len(subs)))) for name in order], p.Budget(total)
    )


_MAKERS: Mapping[type[_Part], Any] = {
    LatencyPart: lambda part, key: p.Latency(part.threshold_ms, part.upper_threshold_ms or math.inf),
    StatusPart: _status,
    StringPart: _string,
    NumericPart: lambda part, key: p.AnySpan(Number(part.key, part.min_value, part.max_value), part.invert_match),
    BooleanPart: lambda part, key: p.AnySpan(Truth(part.key, part.value), part.invert_match),
    SharePart: lambda part, key: p.Probabilistic(part.sampling_percentage / 100),
    RatePart: lambda part, key: p.RateLimiting(p.Budget(part.spans_per_second)),
    CountPart: lambda part, key: p.SpanCount(part.min_spans, part.max_spans or 2**62),
    CompositePart: _composite,
    AndPart: _and,
}
