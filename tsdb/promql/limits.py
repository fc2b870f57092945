"""Each limit of a query, with its reason."""

from __future__ import annotations

MAX_SAMPLES = 50_000_000
"""Samples a query may hold at once: Prometheus's own default; 16 bytes each, 800 MB."""

CELLS_A_SAMPLE = 2
"""Cells (series × steps) a vector may have for each sample a query may hold: not each cell has one; 17 bytes each."""

MAX_POINTS = 11_000
"""Steps of a range query: Prometheus's limit, so that 60 s resolution spans a week."""

LOOKBACK_MS = 300_000
"""How old a sample may be and still be a series' value: Prometheus's default."""

TIMEOUT_S = 120.0
"""How long a query may run: Prometheus's default."""

SUBQUERY_STEP_MS = 60_000
"""The step of a subquery that names none: Prometheus's default evaluation interval."""

SLICE_CELLS = 1 << 19
"""Cells (series × steps) of one slice of an aggregation over windows: 4 MB of floats, the size of a cache."""

KEPT_BYTES = 64 << 20
"""Memory for answers to range queries that are kept for when they are asked again: 700 of 250 series over a day."""

KEPT_ANSWER_BYTES = KEPT_BYTES // 8
"""Larger ones are not kept, so that one does not push out all others."""

KEPT_SERIES_BYTES = 512
"""What the labels of a series weigh in that, about."""
