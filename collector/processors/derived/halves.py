"""Halves of requests: what a client's or a server's span says of the request it is one side of, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.collector.processors.derived import columns as read
from obs.collector.processors.derived.state import OTHER, Ints
from obs.model.schema import parse_attribute_column

CLIENT, SERVER = 0, 1
DIRECT, MESSAGING, DATABASE, VIRTUAL = range(4)
NOBODY = 0
"""The code of the empty name."""

MAX_NAMES = 50_000
"""Services and peers that are told apart."""

_SERVER_KIND, _CLIENT_KIND, _PRODUCER, _CONSUMER, _ERROR = 2, 3, 4, 5, 2

_DATABASES = ("db.namespace", "db.name", "db.system.name", "db.system")
_PEERS = ("peer.service", *_DATABASES, "messaging.system", "rpc.service", "server.address", "net.peer.name")
"""What names the other side, the first that is there."""

SERVICE = "resource.service.name:str"
SHARED = "attr.zipkin.shared:bool"

HALF = np.dtype([
    ("key", np.uint64), ("service", np.int64), ("peer", np.int64), ("duration_s", np.float64),
    ("weight", np.float64), ("came_s", np.float64), ("side", np.uint8), ("connection", np.uint8),
    ("failed", np.bool_), ("root", np.bool_),
])  # fmt: skip

Halves = npt.NDArray[Any]


class Names:
    """Texts by code; those past the limit are one."""

    def __init__(self) -> None:
        self._codes: dict[str, int] = {"": NOBODY, OTHER: 1}
        self._texts = ["", OTHER]

    def __len__(self) -> int:
        """How many there are."""
        return len(self._texts)

    def __getitem__(self, code: int) -> str:
        """The text of a code."""
        return self._texts[code]

    def code(self, text: str) -> int:
        """The code of a text."""
        found = self._codes.get(text)
        if found is None:
            if len(self._texts) >= MAX_NAMES:
                return self._codes[OTHER]
            found = self._codes[text] = len(self._texts)
            self._texts.append(text)
        return found

    def codes(self, column: read.Coded) -> Ints:
        """Those of a column."""
        used, at = np.unique(column.codes, return_inverse=True)
        return np.array([self.code(column.texts[code]) for code in used], np.int64)[at]


def halves(spans: pa.RecordBatch, names: Names, now_s: float) -> Halves:
    """A half for each span that is one side of a request.

    The key is the trace with the span that the request began in: a server's parent, or itself where both share an id.
    """
    kind = spans.column("kind").fill_null(0).to_numpy(zero_copy_only=False)
    rows = np.flatnonzero((kind >= _SERVER_KIND) & (kind <= _CONSUMER))
    found = np.zeros(len(rows), HALF)
    if not len(rows):
        return found
    some = spans.select([name for name in spans.schema.names if _is_read(name)])
    some = some.take(pa.array(rows)) if len(rows) < len(kind) else some
    kind = kind[rows]
    served = (kind == _SERVER_KIND) | (kind == _CONSUMER)
    own, parent = (read.words(some.column(name), 1) for name in ("span_id", "parent_span_id"))
    joint = served & ~_shared(some)
    found["key"] = read.mixed(read.words(some.column("trace_id"), 2), np.where(joint[:, None], parent, own))
    found["side"] = np.where(served, SERVER, CLIENT)
    found["service"] = names.codes(read.coded(read.text_column(some, SERVICE), len(rows)))
    found["peer"] = _named(some, names, _PEERS)
    database = ~served & (_named(some, names, _DATABASES) != NOBODY)
    messaging = (kind == _PRODUCER) | (kind == _CONSUMER)
    found["connection"] = np.select([database, messaging], [DATABASE, MESSAGING], DIRECT)
    found["duration_s"], found["weight"] = read.durations_s(some), read.weights(some)
    found["failed"] = some.column("status_code").fill_null(0).to_numpy(zero_copy_only=False) == _ERROR
    found["root"] = joint & (parent[:, 0] == 0)
    found["came_s"] = now_s
    return found


def _is_read(column: str) -> bool:
    """Whether `halves` looks at a column."""
    if column in ("trace_id", "span_id", "parent_span_id", "start_ns", "end_ns", "status_code", SERVICE, SHARED):
        return True
    attribute = parse_attribute_column(column)
    return attribute is not None and attribute.scope == "attr" and attribute.key in (*_PEERS, read.WEIGHT)


def _shared(spans: pa.RecordBatch) -> npt.NDArray[np.bool_]:
    column = read.text_column(spans, SHARED)
    if column is None:
        return np.zeros(spans.num_rows, np.bool_)
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), np.bool_)


def _named(spans: pa.RecordBatch, names: Names, keys: tuple[str, ...]) -> Ints:
    """The code of the first of these attributes that each span has."""
    found = np.full(spans.num_rows, NOBODY, np.int64)
    for key in keys:
        column = read.attribute(spans, key, ("attr",))
        if column is not None:
            codes = names.codes(read.coded(column, spans.num_rows))
            found = np.where(found == NOBODY, codes, found)
    return found
