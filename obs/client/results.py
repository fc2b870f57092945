"""What queries come back as."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple


class QueryResult(NamedTuple):
    """A PromQL or LogQL result: `kind` is vector, matrix, scalar, string or streams; `notes` say what it lacks.

    `next` is the cursor of the page behind it, where records were cut off.
    """

    kind: str
    result: Any
    notes: tuple[str, ...] = ()
    stats: Mapping[str, Any] = MappingProxyType({})
    next: str | None = None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> QueryResult:
        """From the envelope that the Prometheus and Loki APIs share."""
        data = answer.get("data") or {}
        notes = (*answer.get("warnings", ()), *answer.get("infos", ()))
        return cls(data.get("resultType", ""), data.get("result", []), notes, data.get("stats") or {}, data.get("next"))
