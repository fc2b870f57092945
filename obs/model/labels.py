"""Labels: the sorted (name, value) pairs that identify a series or a stream, and their 64-bit id.

In: any mapping of strings. Out: a canonical tuple, its id, and matchers over it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from hashlib import blake2b
from typing import Any

from obs.model.regex import compiled

Labels = tuple[tuple[str, str], ...]
"""Pairs sorted by name; names unique; no empty values (an empty label is an absent one)."""

METRIC_NAME = "__name__"
METRIC_TYPE, METRIC_UNIT = "__type__", "__unit__"


def make_labels(pairs: Mapping[str, str] | Iterable[tuple[str, str]]) -> Labels:
    """The canonical form of `pairs`: sorted by name, the last of equal names kept, empty values dropped."""
    return tuple(sorted((k, v) for k, v in dict(pairs).items() if v != ""))


def with_metadata(labels: Mapping[str, str], kind: str, unit: str) -> dict[str, str]:
    """Labels with a metric's type and unit among them, whatever they had there; an unknown type is none."""
    told = {METRIC_TYPE: "" if kind == "unknown" else kind, METRIC_UNIT: unit}
    return {k: v for k, v in {**labels, **told}.items() if v or k not in told}


def labels_id(labels: Labels) -> int:
    """The id of a label set, uint64: BLAKE2b over `name 0xFF value 0xFF …` (0xFF is in no UTF-8 text).

    Stable across processes and versions: blocks and the WAL hold it.
    """
    text = b"".join(k.encode() + b"\xff" + v.encode() + b"\xff" for k, v in labels)
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


class MatchOp(Enum):
    """How a matcher compares; the value is the operator as PromQL and LogQL write it."""

    EQ = "="
    NE = "!="
    RE = "=~"
    NRE = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; an absent label has the value "". Regexes are anchored at both ends.

    Raises: ValueError from `matches` where a regex does not compile.
    """

    name: str
    op: MatchOp
    value: str
    _regex: list[Any] = field(default_factory=list, repr=False, compare=False)

    def matches(self, value: str) -> bool:
        """Whether a label value satisfies this condition."""
        if self.op is MatchOp.EQ:
            return value == self.value
        if self.op is MatchOp.NE:
            return value != self.value
        hit = self.regex.fullmatch(value) is not None
        return hit if self.op is MatchOp.RE else not hit

    @property
    def regex(self) -> Any:
        """The compiled pattern. Raises: ValueError."""
        if not self._regex:
            self._regex.append(compiled(self.value))
        return self._regex[0]
