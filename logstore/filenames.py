"""Every name this room has on disk. The engine owns the folders, meta.json and the WAL; see obs/columnar."""

from __future__ import annotations

STORE = "logs"
"""The store's name in the engine: its folder under the data directory and the label of its own metrics."""

RECORDS = "logs"
"""Table `logs.parquet`: one row a record, sorted by (stream, time)."""

STREAMS = "streams"
"""Table `streams.parquet`: one row a stream of the block."""

PATTERNS = "patterns"
"""Table `patterns.parquet`: templates of the lines with their counts by stream and time; a block may lack it."""

CELLS = "cells"
"""Table `cells.parquet`: counts of records by stream, interval and severity; a block may lack it."""

CELL_NS = "interval_ns"
"""In the block's `extra`: the nanoseconds of a cell's interval."""

FIELDS = "fields"
"""Table `fields.parquet`: labels that parsers find in the bodies; a block may lack it."""

FIELDS_PARSER = "|parser"
"""Its column that says which parser finds the row's labels; no label has such a name."""

TOKENS = "tokens.idx"
"""Token filters and trigrams of the block; a block without it is read by text."""
