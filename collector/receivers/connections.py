"""Servers of sockets that are no HTTP: one event loop in a thread of its own, records stored by worker threads.

Where the store cannot take a batch now, its connection waits and is not read: the sender's own buffer holds what comes.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from obs.collector import limits
from obs.collector.receivers.otlp.intake import Intake
from obs.errors import ObsError, Unavailable
from obs.model.batch import Decoded, Signal

log = logging.getLogger("obs.connections")

READ_BYTES = 256 << 10
"""Read at one time from a connection: a batch of a thousand lines."""

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


class Connections:
    """The loop, its listening sockets and their workers, for the receiver `name`."""

    def __init__(self, intake: Intake, name: str) -> None:
        self.intake, self.name = intake, name
        self.loop = asyncio.new_event_loop()
        self._workers = ThreadPoolExecutor(limits.DECODE_THREADS, thread_name_prefix=name)
        self._thread = threading.Thread(target=self._run, name=f"{name}-loop", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    def start(self) -> None:
        """Run the loop."""
        self._thread.start()

    def listen(self, sock: socket.socket, serve: Serve, tls: ssl.SSLContext | None = None) -> None:
        """Serve each connection of a listening socket."""

        async def served(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                await serve(reader, writer)
            except ObsError as e:
                log.warning("%s: closing a connection: %s", self.name, e)
            except (ConnectionError, TimeoutError, asyncio.CancelledError):
                pass
            except Exception:
                log.exception("%s: a connection ended in a fault", self.name)
            finally:
                self._tasks.discard(task)
                writer.close()

        async def begin() -> None:
            self._servers.append(await asyncio.start_server(served, sock=sock, limit=READ_BYTES, ssl=tls))

        asyncio.run_coroutine_threadsafe(begin(), self.loop).result()

    async def store(self, decode: Callable[[], Decoded], nbytes: int) -> Decoded:
        """Store what `decode` makes of `nbytes`; waits while the store cannot take it. Raises: UserError, Fault."""
        while True:
            try:
                return await self.loop.run_in_executor(self._workers, self._stored, decode, nbytes)
            except Unavailable as e:
                await asyncio.sleep(e.retry_after_s)

    def _stored(self, decode: Callable[[], Decoded], nbytes: int) -> Decoded:
        with self.intake.room(nbytes):
            return self.intake.take_decoded(Signal.LOGS, decode, self.name)

    def refuse(self, error: ObsError) -> None:
        """Count what was not taken, and why."""
        self.intake.refuse(Signal.LOGS, self.name, error)

    def close(self) -> None:
        """Stop listening, end connections, wait for what is being stored."""
        if self._thread.is_alive():
            asyncio.run_coroutine_threadsafe(self._end(), self.loop).result(10)
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join()
        self.loop.close()
        self._workers.shutdown()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()
