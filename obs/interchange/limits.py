"""Each number that import and export hold themselves to, with its reason."""

from __future__ import annotations

PIECE_SAMPLES = 50_000
"""Samples of one request: about 1 MB on the wire, some ten milliseconds of the server's time."""

PIECE_LABEL_BYTES = 4 << 20
"""Text of the labels of one request, where series have few samples each."""

KNOWN_SERIES = 200_000
"""Label sets kept parsed, about 1 kB each: files that go through all series for each time name them over and over."""

LINE_BYTES = 1 << 20
"""A line at most: a series has at most 256 labels. What is longer is no text of samples."""

SHOWN_FAULTS = 20
"""Faults told one by one; past it they are counted."""

WAIT_S = 120.0
"""How long a server may be full or away before an import gives up."""

LONGEST_PAUSE_S = 10.0
"""Between two tries at most."""

FIRST_MS, LAST_MS = -(1 << 63), (1 << 63) - 1
"""The times that a sample can have."""

ROW_GROUP_ROWS = 1 << 18
"""Rows of a row group of an exported Parquet file: some megabytes, and a footer that stays small."""
