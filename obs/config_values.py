"""Values of the configuration as people write them: `10GB`, `1h30m`, labels with variables of the environment.

In: what YAML gives. Out: numbers and texts. What cannot be read raises ValueError, which pydantic tells with the key.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, PlainSerializer

from obs.model.durations import duration_text

_SIZES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
_VARIABLE = re.compile(r"\$(?:(\$)|\{(\w+)\}|(\w+))", re.ASCII)
_TIMES = {"": 1.0, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0, "y": 31536000.0}


def parse_size(value: Any) -> Any:
    """Bytes of `10GB`, `512MiB` or a plain number; what is no text is left to the type check."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", value)
    if not match or match[2].upper() not in _SIZES:
        raise ValueError("it is no size; write bytes, or as 512MiB, 10GB")
    return int(float(match[1]) * _SIZES[match[2].upper()])


def parse_duration(value: Any) -> Any:
    """Seconds of `30d`, `1h30m`, `250ms` or a plain number; what is no text is left to the type check."""
    if not isinstance(value, str):
        return value
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|[smhdwy]?)", value)
    if not parts or "".join(n + u for n, u in parts) != value.strip():
        raise ValueError("it is no time; write seconds, or as 15s, 1h30m, 30d")
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


def cause(error: Mapping[str, Any]) -> str:
    """Why pydantic refused a value, in our own words where we have refused it."""
    return str(error["msg"]).removeprefix("Value error, ")


LabelValue = Annotated[str, BeforeValidator(parse_label)]
