"""Silences: alerts whose labels match are not told from a start to an end.

Source: Alertmanager's api/v2 OpenAPI document, definitions "silence" and "postableSilence".
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

from obs.alertmanager.alert import Alert
from obs.alertmanager.inhibit import matches
from obs.alertmanager.limits import SILENCE_RETENTION_S
from obs.errors import UserError
from obs.model.labels import Matcher, MatchOp


@dataclass(frozen=True, slots=True)
class Silence:
    """One silence."""

    id: str
    matchers: Sequence[Matcher]
    starts_ns: int
    ends_ns: int
    updated_ns: int
    created_by: str
    comment: str

    def state(self, now_ns: int) -> str:
        """pending, active or expired."""
        return "expired" if self.ends_ns <= now_ns else "pending" if self.starts_ns > now_ns else "active"

    def to_json(self) -> dict[str, Any]:
        """For the state file."""
        return {
            "id": self.id,
            "matchers": [[m.name, m.op.value, m.value] for m in self.matchers],
            "timesNs": [self.starts_ns, self.ends_ns, self.updated_ns],
            "createdBy": self.created_by,
            "comment": self.comment,
        }


class UnknownSilence(UserError):
    """A silence was named that is not held."""


class Silences:
    """Silences by id."""

    def __init__(self) -> None:
        self._silences: dict[str, Silence] = {}
        self._lock = threading.Lock()

    def all(self) -> Sequence[Silence]:
        """Every silence, the one that ends last first."""
        with self._lock:
            return sorted(self._silences.values(), key=lambda s: -s.ends_ns)

    def get(self, silence_id: str) -> Silence | None:
        """One by its id."""
        return self._silences.get(silence_id)

    def put(self, silence: Silence, now_ns: int) -> str:
        """Enter a silence; its id. One that replaces another of different matchers ends that and has an id of its own.

        Raises: UserError, UnknownSilence.
        """
        _check(silence, now_ns)
        with self._lock:
            old = self._silences.get(silence.id)
            if silence.id and not old:
                raise UnknownSilence(f"cannot change silence {silence.id!r}: it is not known; post it without an id")
            if old and (old.state(now_ns) == "expired" or list(old.matchers) != list(silence.matchers)):
                self._silences[old.id] = _ended(old, now_ns)
                old = None
            silence = replace(silence, id=old.id if old else str(uuid4()))
            self._silences[silence.id] = silence
        return silence.id

    def expire(self, silence_id: str, now_ns: int) -> bool:
        """End a silence now; False where it is not known."""
        with self._lock:
            old = self._silences.get(silence_id)
            if old:
                self._silences[silence_id] = _ended(old, now_ns)
        return old is not None

    def silenced_by(self, alert: Alert, now_ns: int) -> Sequence[str]:
        """The ids of the active silences that match."""
        labels = dict(alert.labels)
        return tuple(s.id for s in self.all() if s.state(now_ns) == "active" and matches(s.matchers, labels))

    def forget_ended(self, now_ns: int) -> None:
        """Drop those that ended long ago."""
        limit = now_ns - int(SILENCE_RETENTION_S * 1e9)
        with self._lock:
            self._silences = {i: s for i, s in self._silences.items() if s.ends_ns > limit}

    def to_json(self) -> list[dict[str, Any]]:
        """For the state file."""
        return [s.to_json() for s in self.all()]

    def restore(self, saved: Iterable[Mapping[str, Any]]) -> None:
        """Take back what `to_json` gave."""
        for value in saved:
            matchers = tuple(Matcher(name, MatchOp(op), text) for name, op, text in value["matchers"])
            starts_ns, ends_ns, updated_ns = value["timesNs"]
            silence = Silence(
                value["id"], matchers, starts_ns, ends_ns, updated_ns, value["createdBy"], value["comment"]
            )
            self._silences[silence.id] = silence


def _ended(silence: Silence, now_ns: int) -> Silence:
    return replace(silence, ends_ns=min(silence.ends_ns, now_ns), updated_ns=now_ns)


def _check(silence: Silence, now_ns: int) -> None:
    if not silence.matchers or all(m.matches("") for m in silence.matchers):
        raise UserError("cannot take silence: it would match every alert; give it a matcher of a value")
    if silence.ends_ns <= max(now_ns, silence.starts_ns):
        raise UserError("cannot take silence: it ends before now or before its start; give it a later endsAt")
