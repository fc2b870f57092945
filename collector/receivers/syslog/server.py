"""Syslog over TCP, TLS and UDP.

TCP has no answer: a connection is read no faster than its messages are stored. UDP has no way to slow a sender down:
what arrives while too much is waiting is dropped, and counted.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence

from obs.collector.receivers.connections import READ_BYTES, Connections
from obs.collector.receivers.otlp.intake import Intake
from obs.collector.receivers.syslog.framing import Framer
from obs.collector.receivers.syslog.message import parse
from obs.model.batch import Decoded, Signal
from obs.otlp.records import decoded

RECEIVER = "syslog"

WAITING_BYTES = 32 << 20
"""Datagrams that wait to be stored, with 200 bytes for each beside its own: a second of the fastest senders."""

KERNEL_BYTES = 8 << 20
"""What the kernel is asked to hold of datagrams that we have not read yet."""

OVERHEAD_BYTES = 200


class Syslog:
    """One receiver for both transports."""

    def __init__(self, intake: Intake) -> None:
        self._connections = Connections(intake, RECEIVER)

    def start(
        self,
        tcp: socket.socket | None,
        udp: socket.socket | None,
        tls: socket.socket | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Serve what listens; `tls` by `context` (RFC 5425)."""
        self._connections.start()
        if tcp is not None:
            self._connections.listen(tcp, self._serve)
        if tls is not None:
            self._connections.listen(tls, self._serve, context)
        if udp is not None:
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
            made = self._connections.loop.create_datagram_endpoint(lambda: _Datagrams(self._connections), sock=udp)
            asyncio.run_coroutine_threadsafe(made, self._connections.loop).result()

    def close(self) -> None:
        """Stop."""
        self._connections.close()

    async def _serve(self, reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        framer = Framer()
        while data := await reader.read(READ_BYTES):
            await _store(self._connections, framer.feed(data))
        await _store(self._connections, framer.end())


class _Datagrams(asyncio.DatagramProtocol):
    """Collects datagrams and stores all that wait at one time."""

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._storing: asyncio.Task[None] | None = None

    def datagram_received(self, data: bytes, _: object) -> None:
        """Keep it, or drop it where too much waits."""
        if self._bytes + len(data) > WAITING_BYTES:
            self._connections.intake.drop(Signal.LOGS, RECEIVER, "overloaded", 1)
            return
        self._waiting.append(data)
        self._bytes += len(data) + OVERHEAD_BYTES
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store())

    async def _store(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            self._bytes = 0
            await _store(self._connections, [message for message in batch if message.strip()])


async def _store(connections: Connections, messages: Sequence[bytes]) -> None:
    def decode() -> Decoded:
        return decoded(parse(message) for message in messages)

    if messages:
        await connections.store(decode, sum(map(len, messages)))
