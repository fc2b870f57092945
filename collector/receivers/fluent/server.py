"""Fluentd's forward protocol over TCP: events in, acknowledged when they are in the write-ahead log."""

from __future__ import annotations

import asyncio
import socket

import msgpack

from obs.collector.receivers.connections import READ_BYTES, Connections
from obs.collector.receivers.fluent.events import Message, message, records, unpacker
from obs.collector.receivers.fluent.handshake import Handshake
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ObsError, TooLarge, UserError
from obs.model.batch import Decoded
from obs.otlp.records import decoded

RECEIVER = "fluent"


class Fluent:
    """The receiver. `shared_key`: what senders must prove to have; empty: nothing."""

    def __init__(self, intake: Intake, shared_key: str = "") -> None:
        self._connections = Connections(intake, RECEIVER)
        self._shared_key = shared_key

    def start(self, sock: socket.socket) -> None:
        """Serve a listening socket."""
        self._connections.start()
        self._connections.listen(sock, self._serve)

    def close(self) -> None:
        """Stop."""
        self._connections.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handshake = Handshake(self._shared_key) if self._shared_key else None
        if handshake:
            writer.write(handshake.helo())
        unpack = unpacker()
        while data := await reader.read(READ_BYTES):
            try:
                unpack.feed(data)
                for value in unpack:
                    if handshake:
                        known, pong = handshake.pong(value)
                        writer.write(pong)
                        await writer.drain()
                        if not known:
                            raise UserError("cannot take fluent events: the sender has not the shared key")
                        handshake = None
                    elif value is not None:  # a nil is a heartbeat
                        await self._take(message(value), writer)
            except msgpack.BufferFull:
                raise self._refused(
                    TooLarge("cannot take fluent message: it is too large; send smaller chunks")
                ) from None
            except (ValueError, msgpack.UnpackException) as e:
                raise self._refused(UserError(f"cannot read fluent message: it is no msgpack ({e})")) from None

    async def _take(self, of: Message, writer: asyncio.StreamWriter) -> None:
        nbytes = len(of.entries) if isinstance(of.entries, bytes) else 1000 * len(of.entries)

        def decode() -> Decoded:
            return decoded(records(of, lambda more: None))

        await self._connections.store(decode, nbytes)
        if of.chunk is not None:
            writer.write(bytes(msgpack.packb({"ack": of.chunk})))
            await writer.drain()

    def _refused(self, error: ObsError) -> ObsError:
        self._connections.refuse(error)
        return error
