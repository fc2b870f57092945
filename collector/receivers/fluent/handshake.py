"""Fluentd's handshake where the two sides share a key: HELO, PING, PONG.

Source: github.com/fluent/fluentd/wiki/Forward-Protocol-Specification-v1, "Handshake messages".
"""

from __future__ import annotations

import secrets
import socket
from hashlib import sha512
from hmac import compare_digest
from typing import Any

import msgpack

HOST = socket.gethostname()


class Handshake:
    """One connection's: what to send first, and the answer to what comes."""

    def __init__(self, shared_key: str) -> None:
        self._key = shared_key.encode()
        self._nonce = secrets.token_bytes(16)

    def helo(self) -> bytes:
        """The first message."""
        return _packed(["HELO", {"nonce": self._nonce, "auth": b"", "keepalive": True}])

    def pong(self, ping: Any) -> tuple[bool, bytes]:
        """Whether the sender has the key, and what to tell it."""
        match ping:
            case ["PING", str() as host, (str() | bytes()) as salt, (str() | bytes()) as digest, *_]:
                salt, theirs = _bytes(salt), _bytes(digest).decode("ascii", "replace")
                good = compare_digest(self._digest(salt, host).encode(), theirs.encode())
            case _:
                return False, _packed(["PONG", False, "cannot read PING", HOST, ""])
        if not good:
            return False, _packed(["PONG", False, "shared_key mismatch", HOST, ""])
        return True, _packed(["PONG", True, "", HOST, self._digest(salt, HOST)])

    def _digest(self, salt: bytes, host: str) -> str:
        return sha512(salt + host.encode() + self._nonce + self._key).hexdigest()


def _bytes(text: str | bytes) -> bytes:
    return text.encode("utf-8", "surrogateescape") if isinstance(text, str) else text


def _packed(message: Any) -> bytes:
    return bytes(msgpack.packb(message))
