"""A process that can write no file: Linux's Landlock, where the kernel has it.

DuckDB's allowed folders may be written to as well as read, and what its SQL can write grows with its versions.
Source: landlock(7), linux/landlock.h.
"""

from __future__ import annotations

import ctypes
import struct
import sys

_CREATE_RULESET, _RESTRICT_SELF = 444, 446
_VERSION = 1  # flag of landlock_create_ruleset: say which version of the interface there is
_PR_SET_NO_NEW_PRIVS = 38

_WRITE_FILE, _REMOVE, _MAKE, _REFER, _TRUNCATE = 1 << 1, 0b11 << 4, 0b1111111 << 6, 1 << 13, 1 << 14
"""Rights to write, remove and make files; the last two since versions 2 and 3."""


def forbid_writing() -> bool:
    """Let this process open no file for writing from now on; whether the system could do so."""
    if not sys.platform.startswith("linux"):
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))
    if version < 1:
        return False
    handled = _WRITE_FILE | _REMOVE | _MAKE
    handled |= _REFER if version >= 2 else 0
    handled |= _TRUNCATE if version >= 3 else 0
    attributes = struct.pack("<Q", handled)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    if ruleset < 0 or libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    return bool(libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0)) == 0)
