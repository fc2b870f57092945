"""Listening sockets, bound before anything else starts so that a port in use is told at once."""

from __future__ import annotations

import errno
import resource
import socket

from obs.config import host_port
from obs.errors import ConfigError

BACKLOG = 2048


def listen(address: str, key: str, kind: int = socket.SOCK_STREAM) -> socket.socket:
    """A TCP or UDP socket on `HOST:PORT` (port 0: any free one). Raises: ConfigError naming `key` and what to do."""
    host, port = host_port(address, key)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, kind)
    try:
        if kind == socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except (OSError, ValueError, TypeError) as e:  # the latter two: what cannot be the name of a host
        sock.close()
        in_use = isinstance(e, OSError) and e.errno == errno.EADDRINUSE
        cause = "the port is in use" if in_use else (getattr(e, "strerror", None) or str(e))
        option = "" if "." in key else f" with --{key.replace('_', '-')} HOST:PORT"
        raise ConfigError(
            f"{key}: cannot listen on {address!r}: {cause}; stop what listens there, or set another address{option}"
        ) from None
    sock.setblocking(False)
    return sock


def allow_many() -> None:
    """Raise the number of files and connections that the process may hold to what the system lets it have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def address_of(sock: socket.socket) -> str:
    """`HOST:PORT` as a client writes it."""
    host, port = sock.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
