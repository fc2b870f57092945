"""The three roots of every error obs raises on purpose.

`UserError`: the sender or the caller is at fault (4xx). `Unavailable`: we are, for now; try again (429, 503).
`CorruptionError`: bytes on disk are not what was written: quarantine, count, go on.
Anything else that escapes is a bug: 500, logged once with its trace id, never a traceback at a user.
Messages read: cannot <verb> <thing> <quoted input>: <cause>; <what to do>.
"""

from __future__ import annotations


class ObsError(Exception):
    """Root of all deliberate errors; `str()` of it is fit for a user."""


class UserError(ObsError):
    """The request cannot be served as it stands; `http_status` is what HTTP says of it."""

    http_status = 400


class NotFound(UserError):
    """What was asked for by name or id does not exist."""

    http_status = 404


class TooLarge(UserError):
    """The request body, or what it inflates to, is over the configured limit."""

    http_status = 413


class TooSlow(UserError):
    """The request did not arrive whole in the time that it may take."""

    http_status = 408


class UnsupportedMedia(UserError):
    """The content type or encoding is not one this path reads."""

    http_status = 415


class QueryError(UserError):
    """A query does not parse or cannot be planned; `position` is (line, column), both from 1, where known."""

    http_status = 400

    def __init__(self, message: str, position: tuple[int, int] | None = None) -> None:
        super().__init__(message)
        self.position = position


class QueryLimit(UserError):
    """A query asked for more than its time, memory or row limit allows."""

    http_status = 422


class ConfigError(UserError):
    """A configuration key or value is not known; the message leads with the key's path."""


class Unavailable(ObsError):
    """We cannot take this now and nothing of it was stored; send it again after `retry_after_s` seconds."""

    http_status = 503

    def __init__(self, message: str, retry_after_s: float = 1.0) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Overloaded(Unavailable):
    """The memory limit is reached: RESOURCE_EXHAUSTED over gRPC, 429 over HTTP."""

    http_status = 429


class StorageFull(Unavailable):
    """The data folder cannot be written (disk full, read-only)."""


class CorruptionError(ObsError):
    """A file is damaged; `path` names it and `offset` the first bad byte where known."""

    def __init__(self, message: str, path: str, offset: int | None = None) -> None:
        super().__init__(message)
        self.path = path
        self.offset = offset
