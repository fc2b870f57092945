"""Memory that is free goes back to the system, where the C library would keep it for later.

A flush or a merge uses some hundred MB for a second or two. glibc keeps what was freed in one arena a thread, which
after an hour of load came to more than what was in use.
"""

from __future__ import annotations

import ctypes
import sys
import time

import pyarrow as pa

M_TRIM_THRESHOLD = -1
M_MMAP_THRESHOLD = -3
M_ARENA_MAX = -8
"""Source: mallopt(3)."""

MMAP_BYTES = 4 << 20
"""Arrays of this size are mapped by themselves and unmapped when freed; smaller ones are reused too often for that."""

SPARE_BYTES = 64 << 20
"""What an arena keeps of freed memory until the next flush or merge: a query whose scratch memory is mapped anew for
every part of its series takes twice as long."""

REST_S = 10.0
"""Under load the next flush is near: it takes the memory that the last one left, where new pages cost as much as the
work that is done in them."""

ARENAS = 4
"""Heaps that threads share: two cores seldom allocate at one time, and each arena keeps free memory of its own."""


def keep_little() -> None:
    """Tell the C library to keep little of what is freed. To be called before threads are started."""
    libc = _glibc()
    if libc is not None:
        libc.mallopt(M_MMAP_THRESHOLD, MMAP_BYTES)
        libc.mallopt(M_TRIM_THRESHOLD, SPARE_BYTES)
        libc.mallopt(M_ARENA_MAX, ARENAS)


_last_s = -REST_S


def give_back() -> None:
    """Return free memory to the system, unless that was done a moment ago; some ms."""
    global _last_s
    if time.monotonic() - _last_s < REST_S:
        return
    _last_s = time.monotonic()
    pa.default_memory_pool().release_unused()
    libc = _glibc()
    if libc is not None:
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """The C library where it is glibc; others return memory by themselves, or offer no way."""
    if not sys.platform.startswith("linux"):
        return None
    libc = ctypes.CDLL(None)
    return libc if hasattr(libc, "malloc_trim") else None
