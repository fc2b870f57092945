"""An alert: labels that identify it, annotations that explain it, and when it began and ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from obs.model.labels import Labels, make_labels

FNV_OFFSET, FNV_PRIME = 0xCBF29CE484222325, 0x100000001B3
"""FNV-1a with 64 bits. Source: draft-eastlake-fnv, section 5."""


class State(Enum):
    """Where an alerting rule's element stands; the value is Prometheus's word for it."""

    PENDING = "pending"
    FIRING = "firing"
    INACTIVE = "inactive"


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert as it travels from the intake to a notifier. `ends_ns` 0: no end known yet."""

    labels: Labels
    annotations: Labels
    starts_ns: int
    ends_ns: int
    updated_ns: int
    generator_url: str = ""

    @property
    def fingerprint(self) -> str:
        """16 hex digits that identify the label set: Alertmanager's own, so that silences and dashboards agree."""
        digest = FNV_OFFSET
        for byte in b"".join(part.encode() + b"\xff" for pair in self.labels for part in pair):
            digest = (digest ^ byte) * FNV_PRIME & 0xFFFF_FFFF_FFFF_FFFF
        return f"{digest:016x}"

    @property
    def name(self) -> str:
        """The alertname label."""
        return dict(self.labels).get("alertname", "")

    def resolved(self, now_ns: int) -> bool:
        """Whether its end has passed."""
        return 0 < self.ends_ns <= now_ns

    def to_json(self) -> dict[str, Any]:
        """For the state file; `from_json` reads it back."""
        return {
            "labels": dict(self.labels),
            "annotations": dict(self.annotations),
            "startsNs": self.starts_ns,
            "endsNs": self.ends_ns,
            "updatedNs": self.updated_ns,
            "generatorURL": self.generator_url,
        }


def from_json(value: Mapping[str, Any]) -> Alert:
    """An alert of the state file."""
    return Alert(
        make_labels(value["labels"]),
        make_labels(value["annotations"]),
        value["startsNs"],
        value["endsNs"],
        value["updatedNs"],
        value["generatorURL"],
    )


ZERO_TIME = "0001-01-01T00:00:00Z"
"""Go's zero time, which Alertmanager writes for "no end yet"."""


def rfc3339(ns: int) -> str:
    """A time as Alertmanager's JSON has it, to the millisecond."""
    if not ns:
        return ZERO_TIME
    text = datetime.fromtimestamp(ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")
