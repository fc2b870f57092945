"""What the server and a worker process say to each other: JSON and Arrow tables in a file that stands in memory alone.

A message on the socket is 8 bytes, the offset of the JSON in the file, and the file's descriptor. The receiver maps the
file: rows are written once and never copied. `Message.write` and `receive` are the two ends.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import orjson
import pyarrow as pa

IDLE_S = 60.0
"""How long a worker waits for something to do before it ends."""

_HEAD = struct.Struct("<Q")


class Message:
    """A message while it is written; tables come before the text."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.memfd_create("obs-sql"), "wb")
        self._sink = pa.PythonFile(self._file, "w")
        self._tables: dict[str, int] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._sink.close()
        self._file.close()

    def table(self, name: str, schema: pa.Schema) -> pa.RecordBatchWriter:
        """A writer for the batches of a table; closed before the next one is begun."""
        self._sink.write(bytes(-self._sink.tell() % 64))
        self._tables[name] = self._sink.tell()
        return pa.ipc.new_stream(self._sink, schema)

    def send(self, to: socket.socket, text: Mapping[str, Any]) -> None:
        """Send it. Raises: OSError."""
        at = self._sink.tell()
        self._sink.write(orjson.dumps({**text, "tables": self._tables}))
        self._file.flush()
        socket.send_fds(to, [_HEAD.pack(at)], [self._file.fileno()])


def receive(on: socket.socket) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """The next message: its text and its tables, whose memory is the file's. Raises: EOFError, OSError."""
    head, fds, _, _ = socket.recv_fds(on, _HEAD.size, 1)
    try:
        if len(head) < _HEAD.size or not fds:
            raise EOFError("the other side has closed its socket")
        whole = pa.memory_map(f"/proc/self/fd/{fds[0]}").read_buffer()
    finally:
        for fd in fds:
            os.close(fd)
    text = orjson.loads(memoryview(whole)[_HEAD.unpack(head)[0] :])
    tables = {name: pa.ipc.open_stream(whole.slice(at)).read_all() for name, at in text.pop("tables").items()}
    return text, tables
