"""RE2's regexes, which Prometheus's fields speak: their time grows with the text alone, whatever the pattern."""

from __future__ import annotations

from typing import Any

import re2

error = re2.error

_OPTIONS = re2.Options()
_OPTIONS.dot_nl = True  # as Prometheus has it
_OPTIONS.log_errors = False


def compiled(pattern: str) -> Any:
    """A regex with the methods of `re`. Raises: ValueError where it does not compile."""
    try:
        return re2.compile(pattern, _OPTIONS)
    except re2.error as e:
        cause = e.args[0].decode("utf-8", "replace") if e.args and isinstance(e.args[0], bytes) else str(e)
        raise ValueError(f"cannot compile regex {pattern!r}: {cause}") from None
    except UnicodeEncodeError:
        raise ValueError(f"cannot compile regex {pattern!r}: it is not UTF-8") from None
