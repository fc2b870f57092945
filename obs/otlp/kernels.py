"""All kernels of this package under one name, and `warm`, which has each compiled or loaded from the cache on disk."""

# mypy: allow-untyped-calls, implicit-reexport
from __future__ import annotations

# ruff: noqa: F401, I001
from obs.otlp.kernels_attributes import (
    BOOL, BYTES, COLUMNS, ENTRIES, ENTRY_SIZE, FLOAT, INT, JSON, KEY_AT, KEY_STOP, KEYS, N_COLUMNS, N_ENTRIES, STR,
    TYPES, group_attributes, scope_names,
)  # fmt: skip
from obs.otlp.kernels_columns import (
    cells_by_group, columns, encode, entries_of, gather, group_entries, group_texts, pack, spread,
)  # fmt: skip
from obs.otlp.kernels_json import HARD, JSON_AT, MAX_DEPTH, N_HARD, write_value
from obs.otlp.kernels_logs import (
    BODY, BODY_TYPE, L_DROPPED, L_EVENT_NAME, L_FLAGS, L_SCOPE, L_SPAN_ID, LOG_FIELDS, OBSERVED, SEVERITY,
    SEVERITY_TEXT, TIME, walk_logs,
)  # fmt: skip
from obs.otlp.kernels_outline import GROUP, count, fill
from obs.otlp.kernels_points import (
    FOR_PYTHON, G_H1, G_H2, G_SLOT, GROUP_FIELDS, HAS_EXEMPLARS, IS_DELTA, IS_NEWS, IS_STALE, M_H1, M_H2, M_KIND,
    M_SLOT, M_TAKEN, METRIC_FIELDS, N_BEGUN, N_POINTS, N_SAMPLES, N_STARTS, N_USED, N_VALUES, P_AT, P_COUNT, P_FLAGS,
    P_GROUP, P_H1, P_H2, P_METRIC, P_SLOT, P_START, P_STOP, P_TIME, P_VALUES, POINT_FIELDS, POINT_MEMORY, emit,
    emit_starts, rehash, walk_points,
)  # fmt: skip
from obs.otlp.kernels_spans import (
    DROPPED_ATTRIBUTES, END, EVENT_DROPPED, EVENT_FIELDS, EVENT_JSON, EVENT_NAME, EVENT_TIME, EVENTS_END, FLAGS,
    HARD_ATTRIBUTE, HARD_BODY, HARD_EVENT, HARD_LINK, HARD_RESOURCE, HARD_SCOPE, KIND, LINK_DROPPED, LINK_FIELDS,
    LINK_FLAGS, LINK_JSON, LINK_SPAN, LINK_STATE, LINK_TRACE, LINKS_END, MESSAGE, N_ROWS, NAME, PARENT, REASONS, SCOPE,
    SPAN_FIELDS, SPAN_ID, START, STATE, STATUS, walk_spans,
)  # fmt: skip
from obs.otlp.kernels_wire import FULL, MALFORMED, OK, RARE


def warm() -> None:
    """Call every kernel once with the types it will be used with, by decoding a small body of each signal."""
    from obs.otlp import warm_bodies

    warm_bodies.decode_all()
