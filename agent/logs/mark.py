"""How far a log file has been read: the one thing that survives a restart.

A file is its device and inode AND a fingerprint of its first bytes, because inodes are reused at once.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from hashlib import blake2b
from typing import Any

from obs.agent.limits import FINGERPRINT_BYTES


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """A hash of the first `length` bytes; of an empty file it matches everything."""

    length: int = 0
    digest: str = ""

    @classmethod
    def of(cls, head: bytes) -> Fingerprint:
        """The fingerprint of a file that begins with `head`."""
        head = head[:FINGERPRINT_BYTES]
        return cls(len(head), blake2b(head, digest_size=12).hexdigest() if head else "")

    def matches(self, head: bytes) -> bool:
        """Whether a file that begins with `head` can be the same one, grown."""
        return len(head) >= self.length and Fingerprint.of(head[: self.length]) == self


@dataclass(frozen=True, slots=True)
class FileMark:
    """Everything before `offset` of this file has been dealt with. `key` names the followed file for good."""

    key: str
    path: str
    device: int
    inode: int
    fingerprint: Fingerprint
    offset: int

    def to_json(self) -> dict[str, Any]:
        """The mark as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> FileMark:
        """The inverse of `to_json`. Raises: KeyError, TypeError where a field is missing or wrong."""
        return cls(**{**value, "fingerprint": Fingerprint(**value["fingerprint"])})
