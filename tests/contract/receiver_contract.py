"""The contract of every receiver: what is sent is found, counted and kept; what is no message is told.

A subclass names its sender; `items` says the same thing in each protocol, `found` reads it back by a query API.
"""

from __future__ import annotations

import json
import re
import time
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from obs_process import ObsProcess, eventually

NOW_US = time.time_ns() // 10**9 * 10**6
ODD = (
    "before\0after",
    "\x1b[31mred\x1b[0m",
    "say \"hi\" \\ {braces} 'single'",
    "日本語 🎉 ünï",
    "x" * 60_000,  # the longest datagram
    "first\n  second\n\tthird",
    "a|b|c|{}|3",
)


class ReceiverContract:
    """For protocols that acknowledge nothing, such as syslog; the others come under `AcknowledgedContract`."""

    signal: ClassVar[str]
    sender: ClassVar[Any]

    @property
    def name(self) -> str:
        """What this subclass sends is told from the others' by it."""
        return type(self).__name__.removeprefix("Test").lower()

    @abstractmethod
    def items(self, mark: str, texts: Sequence[str]) -> Sequence[Any]:
        """An item for each text, in the order in which `found` has them."""

    @abstractmethod
    def found(self, obs: ObsProcess, mark: str) -> Sequence[Any]:
        """The items of a mark that are there."""

    def sent(self, obs: ObsProcess, mark: str, texts: Sequence[str]) -> Sequence[Any]:
        """Send an item for each text and return them."""
        items = self.items(f"{mark}-{self.name}", texts)
        self.sender(obs, items)
        return items

    def arrived(self, obs: ObsProcess, mark: str, count: int) -> Sequence[Any]:
        """What was sent under a mark, as it is found."""
        return eventually(lambda: self.found(obs, f"{mark}-{self.name}"), lambda found: len(found) >= count)

    def ledger(self, obs: ObsProcess) -> dict[str, Any]:
        """The ledger's entry of the receiver."""
        entries = json.loads(obs.client.transport.raw("/api/status", []))["ledger"]
        own = (self.signal, self.sender.name)
        return next((e for e in entries if (e["signal"], e["receiver"]) == own), {"received": 0})

    def test_what_is_sent_is_found_and_counted(self, obs: ObsProcess) -> None:
        before = self.ledger(obs)["received"]
        sent = self.sent(obs, "counted", [f"step {i}" for i in range(20)])
        assert self.arrived(obs, "counted", len(sent)) == sent
        entry = self.ledger(obs)
        assert entry["received"] - before == len(sent)
        assert entry["received"] == entry["stored"] + sum(entry["dropped"].values())

    def test_odd_texts_come_back_as_they_were(self, obs: ObsProcess) -> None:
        sent = self.sent(obs, "odd", ODD)
        assert self.arrived(obs, "odd", len(sent)) == sent


class AcknowledgedContract(ReceiverContract):
    """For protocols that tell the sender whether its items are kept."""

    refusal = r"cannot (decode|read)"

    def test_what_is_no_message_is_told(self, obs: ObsProcess) -> None:
        said = self.sender.garbage(obs)
        assert re.search(self.refusal, said), said
        assert "Traceback" not in said
        sent = self.sent(obs, "after", ["still here", "and here"])
        assert self.arrived(obs, "after", len(sent)) == sent

    def test_what_is_acknowledged_outlives_a_kill(self, killed: ObsProcess) -> None:
        """Sent by `before_the_kill`."""
        kept = self.items(f"kept-{self.name}", KEPT)
        assert self.arrived(killed, "kept", len(kept)) == kept


KEPT = tuple(f"kept {i}" for i in range(20))


def before_the_kill(obs: ObsProcess) -> None:
    """Send for every subclass what it will look for after the kill."""
    for contract in _final(AcknowledgedContract):
        contract().sent(obs, "kept", KEPT)


def _final(of: type[Any]) -> Iterator[type[Any]]:
    if hasattr(of, "sender"):
        yield of
    for below in of.__subclasses__():
        yield from _final(below)
