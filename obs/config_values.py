"""Values of the configuration as people write them: `10GB`, `1h30m`, labels with variables of the environment.

In: what YAML gives. Out: numbers and texts; what cannot be read is returned for the type check to refuse.
"""

from __future__ import annotations

import os
import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from obs.model.durations import duration_text

_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)
_TIMES = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


def parse_size(value: Any) -> Any:
    """Bytes of `10GB`, `512MiB` or a plain number; anything else is returned for the type check to refuse."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value) if isinstance(value, str) else None
    if match and match[2].upper() in _SIZES:
        return int(float(match[1]) * _SIZES[match[2].upper()])
    return value


def parse_duration(value: Any) -> Any:
    """Seconds of `30d`, `1h30m`, `250ms` or a plain number; anything else is returned for the type check to refuse."""
    if not isinstance(value, str):
        return value
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdwy]?)", value)
    if not parts or "".join(n + u for n, u in parts) != value.strip():
        return value
    return sum(float(n) * _TIMES[u] for n, u in parts)


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
_Shown = PlainSerializer(lambda seconds: duration_text(round(seconds * 1000)), str, when_used="json")
Duration = Annotated[float, BeforeValidator(parse_duration), Field(gt=0, le=100 * 31536000.0), _Shown]
Delay = Annotated[float, BeforeValidator(parse_duration), Field(ge=0, le=100 * 31536000.0), _Shown]


def parse_label(value: Any) -> Any:
    """A label's value: YAML's other scalars as text, `$NAME` and `${NAME}` out of the environment, `$$` a dollar."""
    if isinstance(value, bool | int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if not isinstance(value, str):
        return value
    return _VARIABLE.sub(lambda found: found[1] or os.environ.get(found[2] or found[3], ""), value)


LabelValue = Annotated[str, BeforeValidator(parse_label)]
