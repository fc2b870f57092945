"""A guard on the names of spans: ids within names are replaced, and names past a service's budget are one name.

It is for metrics alone: the store keeps names as they came.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from obs.collector.processors.derived.state import OTHER

MAX_REMEMBERED = 100_000
"""Raw names that are remembered with what became of them; past it all are looked at again."""

MAX_SERVICES = 10_000
"""Services whose names are told apart."""

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
        known = self._known.get(service)
        if known is None:
            if len(self._known) >= MAX_SERVICES:
                return OTHER
            known = self._known[service] = set()
        if name not in known and len(known) >= self._most:
            return OTHER
        known.add(name)
        return name

    def keep(self, left: Iterable[tuple[str, ...]]) -> None:
        """Go on with the names of these label sets alone (service, name, …): others have room again."""
        self._known.clear()
        self._became.clear()
        for service, name, *_ in left:
            if name != OTHER:
                self._known.setdefault(service, set()).add(name)
