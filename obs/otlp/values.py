"""AnyValue, OTLP's dynamic value: its column type and cell, its JSON text, its text as a label.

In: messages of `obs.otlp.messages`. Out: Python values. JSON keeps int64 exact, writes bytes as base64 and
NaN and the infinities as strings, as protobuf's own JSON does.
"""

from __future__ import annotations

import json
import math
from base64 import b64encode
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from obs.otlp.messages import Message, text

Cell = tuple[str, Any]
"""(type of `schema.ATTRIBUTE_TYPES`, value)."""

_SCALARS = {"bool_value": "bool", "int_value": "int", "double_value": "float", "bytes_value": "bytes"}


def cell(value: Message) -> Cell:
    """What an attribute of this value puts into its column; arrays, maps and no value at all as JSON text."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return "str", text(value.string_value)
    if kind in _SCALARS:
        return _SCALARS[kind], getattr(value, kind)
    return "json", json_text(value)


def cells(attributes: Iterable[Message]) -> dict[str, Cell]:
    """Attributes by key; of equal keys the last wins."""
    return {text(pair.key): cell(pair.value) for pair in attributes}


def plain(value: Message) -> Any:
    """The value as `json.dumps` takes it."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return text(value.string_value)
    if kind == "double_value":
        number = value.double_value
        return number if math.isfinite(number) else special_float(number)
    if kind == "bytes_value":
        return b64encode(value.bytes_value).decode()
    if kind == "array_value":
        return [plain(v) for v in value.array_value.values]
    if kind == "kvlist_value":
        return {text(pair.key): plain(pair.value) for pair in value.kvlist_value.values}
    return None if kind is None else getattr(value, kind)


def special_float(number: float) -> str:
    """NaN and the infinities, named as protobuf's JSON names them."""
    if math.isnan(number):
        return "NaN"
    return "Infinity" if number > 0 else "-Infinity"


def dump(value: Any) -> str:
    """Compact JSON; only what must be escaped is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def json_text(value: Message) -> str:
    """One value as JSON text."""
    return dump(plain(value))


def json_object(attributes: Iterable[Message]) -> str:
    """Attributes as the text of a JSON object; of equal keys the last wins, in the first one's place."""
    return dump({text(pair.key): plain(pair.value) for pair in attributes})


def cell_text(typed: Cell) -> str:
    """A cell as text, for labels and for the overflow map."""
    type_, value = typed
    if type_ in ("str", "json"):
        return str(value)
    if type_ == "bool":
        return "true" if value else "false"
    if type_ == "bytes":
        return b64encode(value).decode()
    return float_text(value) if type_ == "float" else str(value)


def float_text(number: float) -> str:
    """A float as Prometheus writes one in a label: shortest digits, an exponent only below 1e-6 and from 1e21 on."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    shortest = repr(number)
    if number == 0 or 1e-6 <= abs(number) < 1e21:
        shortest = format(Decimal(shortest), "f")
    return shortest.removesuffix(".0")
