"""Each number that remote read holds itself to, with its reason."""

from __future__ import annotations

MAX_REQUEST_BYTES = 4 << 20
"""A request, packed and unpacked: real ones have some matchers, under a kilobyte."""

CHUNK_SAMPLES = 120
"""Samples of a chunk, as Prometheus cuts them: its readers allocate for so many."""

FRAME_BYTES = 1 << 20
"""A frame of the stream, as Prometheus's --storage.remote.read-max-bytes-in-frame; a series over it is cut."""

PIECE_BYTES = 256 << 10
"""What is handed to the socket at one time: each piece costs a change of threads, some 50 µs."""

MAX_PLAIN_SAMPLES = 10_000_000
"""Samples of an answer that is one message: 180 MB before it is packed. The stream knows no limit."""
