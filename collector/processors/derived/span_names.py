"""A guard on the names of spans: ids within names are replaced, and names past a service's budget are one name.

It is for metrics alone: the store keeps names as they came.
"""

from __future__ import annotations

import re

from obs.collector.processors.derived.state import OTHER

MAX_REMEMBERED = 100_000
"""Raw names that are remembered with what became of them; past it all are looked at again."""

_IDS = re.compile(
    r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"  # UUID
    r"|(?<![0-9A-Za-z_])(?=[0-9a-fA-F]*[0-9])[0-9a-fA-F]{8,}(?![0-9A-Za-z_])"  # hash, trace id
    r"|(?<![0-9A-Za-z_.])[0-9]+(?![0-9A-Za-z_.])"  # number
)
ID = "{id}"


class SpanNames:
    """Names by service; `most`: different ones of each."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, set[str]] = {}
        self._became: dict[tuple[str, str], str] = {}

    def __call__(self, service: str, name: str) -> str:
        """What a name is called in metrics."""
        found = self._became.get((service, name))
        if found is None:
            if len(self._became) >= MAX_REMEMBERED:
                self._became.clear()
            found = self._became[service, name] = self._admitted(service, _IDS.sub(ID, name))
        return found

    def _admitted(self, service: str, name: str) -> str:
        known = self._known.setdefault(service, set())
        if name in known:
            return name
        if len(known) >= self._most:
            return OTHER
        known.add(name)
        return name
